# Evolves a function of yours: here a polynomial towards the sine.
import elm


def curve(x):
    return x - 0.5 * x * x * x


def score(outputs, inputs):
    from math import sin

    return -sum(abs(y - sin(x)) for x, y in zip(inputs, outputs, strict=True))


print(elm.evolve(curve, score=score, inputs=[0.0, 0.5, 1.0, 1.5, 2.0], f_min=-10.0))
