"""A linear head trained by plain gradient descent, whatever the loss."""


def right(weights, features, labels):
    """Whether each row is classified rightly."""
    return (features @ weights > 0) == labels


def train(loss, features, labels, weights, rate, held_out, *, steps):
    """Weights after gradient descent, and the accuracy on held-out rows after each number of `steps`, rising from 0.

    loss : of `helpers.losses`, given labels and scores; features (n, d), weights (d,)
    """
    path = []
    for step in range(steps[-1] + 1):
        if step in steps:
            path.append(right(weights, *held_out).mean())
        if step < steps[-1]:
            gradient = loss(labels, features @ weights, from_logits=True).gradient
            weights = weights - rate * features.T @ gradient
    return weights, path
