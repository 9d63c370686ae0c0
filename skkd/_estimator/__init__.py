"""The estimator: DistilledClassifier and what it is composed of."""
