"""Sports balls, 15 classes: a pretrained teacher, a student of a tenth of its size.

    python examples/reproduce_sports.py --data FOLDER

Published: code only. An EfficientNet teaches a MobileNetV2 with T = 10 and a soft weight
of .8; before, images are discarded until all classes are as frequent. Its hard term was
the loss of an argmax, which has no gradient: only the teacher taught.

Kept: photographs of 15 sports balls, a teacher from ImageNet, classes balanced. Corrected:
both terms teach; student and teacher see the same view of an image; the same student
without its teacher stands beside it; the classes are balanced by weights, and what this
is worth, and what discarding images is worth, is measured. The test images are fixed
before any training, and no copy of one is trained on.

FOLDER holds test/ and train/, folders of class folders. test/ has all 15 classes: a fixed
quarter of it tests, the rest trains. train/ has more images of some of the classes, so
that these are up to ten times as frequent. The images are those of the Kaggle data set
"Sports balls - multiclass image classification".
"""
