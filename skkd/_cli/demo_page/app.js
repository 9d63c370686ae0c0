// Runs a student that skkd.export wrote, on images that the visitor chooses.

const student = await (await fetch("student.json")).json();
const ort = await import(student.runtime + "ort.wasm.min.mjs");
ort.env.wasm.numThreads = 1; // several need headers that simple servers do not send
ort.env.wasm.wasmPaths = student.runtime;

const [height, width] = student.size;
const status = document.getElementById("status");
const session = await ort.InferenceSession.create("student.onnx");

// The weights of Pillow's antialiased bilinear filter for one axis.
function weightsOf(from, to) {
  const scale = from / to, support = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const high = Math.min(from, Math.trunc(center + support + 0.5));
    const weights = [];
    for (let x = low; x < high; x++)
      weights.push(Math.max(0, 1 - Math.abs((x - center + 0.5) / support)));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [low, weights.map((weight) => weight / sum)];
  });
}

// Resize one axis of a channel: `stride` is the distance of its pixels.
function resizeAxis(pixels, n, from, to, isRow) {
  const out = new Uint8ClampedArray(n * to);
  weightsOf(from, to).forEach(([low, weights], i) => {
    for (let line = 0; line < n; line++) {
      let sum = 0;
      weights.forEach((weight, k) => {
        const at = isRow ? line * from + low + k : (low + k) * n + line;
        sum += weight * pixels[at];
      });
      out[isRow ? line * to + i : i * n + line] = Math.floor(sum + 0.5);
    }
  });
  return out;
}

// Pixels as ImageReader makes them: upright, opaque over white, resized.
export function readPixels({ data, width: w, height: h }) {
  const channels = student.mode === "L"
    ? [(i) => (19595 * data[i] + 38470 * data[i + 1] + 7471 * data[i + 2] + 32768) >> 16]
    : [0, 1, 2].map((c) => (i) => data[i + c]);
  const pixels = new Uint8Array(channels.length * height * width);
  channels.forEach((channel, c) => {
    const full = Uint8Array.from({ length: w * h }, (_, i) => channel(4 * i));
    const rows = resizeAxis(full, h, w, width, true);
    pixels.set(resizeAxis(rows, width, h, height, false), c * height * width);
  });
  return pixels;
}

async function classify(blob) {
  const image = await createImageBitmap(blob, { imageOrientation: "from-image" });
  const canvas = document.getElementById("shown");
  [canvas.width, canvas.height, canvas.hidden] = [image.width, image.height, false];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, image.width, image.height);
  context.drawImage(image, 0, 0);
  const pixels = readPixels(context.getImageData(0, 0, image.width, image.height));
  window.pixels = pixels;
  const shape = [1, student.mode === "L" ? 1 : 3, height, width];
  const began = performance.now();
  const found = await session.run(
    { [student.input]: new ort.Tensor("uint8", pixels, shape) }, ["probabilities"]);
  const milliseconds = performance.now() - began;
  show(Array.from(found.probabilities.data, Number));
  status.textContent = `${milliseconds.toFixed(1)} ms`;
}

function show(proba) {
  const order = proba.map((p, i) => [p, student.classes[i]]).sort((a, b) => b[0] - a[0]);
  document.getElementById("answer").replaceChildren(...order.slice(0, 10).map(([p, name]) => {
    const item = document.createElement("li"), bar = document.createElement("meter");
    bar.value = p;
    item.append(`${name}, ${(100 * p).toFixed(1)} %`, bar);
    return item;
  }));
}

async function answer(blob) {
  status.textContent = "Reading the image.";
  try {
    await classify(blob);
  } catch (error) {
    document.getElementById("answer").replaceChildren();
    status.textContent = `This file is no image that this browser can read (${error.message}).`;
  }
}

const drop = document.getElementById("drop");
document.getElementById("file").addEventListener("change", (event) => {
  if (event.target.files.length) answer(event.target.files[0]);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length)
      answer(event.dataTransfer.files[0]);
  });
}
for (const path of student.examples) {
  const button = document.createElement("button"), image = document.createElement("img");
  image.src = path;
  image.alt = path;
  button.append(image);
  button.addEventListener("click", async () => answer(await (await fetch(path)).blob()));
  document.getElementById("examples").append(button);
}
status.textContent = "Ready.";
