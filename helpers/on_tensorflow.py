"""The calls to TensorFlow itself, for which Keras 3 has no word: they make training repeatable, right and fast.

Under JAX and PyTorch nothing here is called.
"""

import keras


def deterministic():
    """Use operations whose result is the same at each run."""
    import tensorflow

    tensorflow.config.experimental.enable_op_determinism()


def dense(gradient):
    """A gradient as a tensor. That of a table comes as IndexedSlices, a row for each use of a word in the batch.

    Keras's optimizers square each of these rows by itself, in Adam and in the norm that clipping goes by, where the
    gradient is their sum; under JAX and PyTorch it is summed from the start. None, of a weight without use, stays.
    """
    import tensorflow

    return None if gradient is None else tensorflow.convert_to_tensor(gradient)


def adam(variable, momentum, velocity, gradient, step, rate, optimizer):
    """One step of Adam on one variable, in one pass over memory; Keras spells it as ten operations, a pass each.

    variable, momentum, velocity : changed in place, of one shape
    gradient : tensor of that shape
    step     : number of this step, from 1, a scalar tensor
    rate     : learning rate, a scalar tensor
    source   : Kingma & Ba 2015, §2, the order of computation at the end: Keras's formula, so only rounding differs
    """
    import tensorflow

    dtype = variable.dtype
    count, rate = keras.ops.cast(step, dtype), keras.ops.cast(rate, dtype)
    tensorflow.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.handle,
        v=velocity.handle,
        beta1_power=keras.ops.power(keras.ops.cast(optimizer.beta_1, dtype), count),
        beta2_power=keras.ops.power(keras.ops.cast(optimizer.beta_2, dtype), count),
        lr=rate,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        epsilon=optimizer.epsilon,
        grad=keras.ops.cast(gradient, dtype),
    )


def trace_once(model, any_size=False):
    """Trace the steps of a compiled model, of training and of testing, one time, for token ids of any width.

    any_size : whether the other dimensions are free too, the number of rows and of tokens to be guessed

    Keras would trace it for the width of the first batch, and at the second width again for any: some five seconds
    each for MiniLM on two cores. What a trace holds besides the width is fixed: texts a batch and kinds of labels.
    """
    import tensorflow

    def spec(array, free=False):
        if any_size:  # how many, and how wide; not of how many numbers each
            return tensorflow.TensorSpec([None] * min(array.ndim, 2) + list(array.shape[2:]), array.dtype)
        return tensorflow.TensorSpec((len(array), None) if free else array.shape, array.dtype)

    def once(step):
        traced = None

        def run(batches):
            nonlocal traced
            inputs, targets, weights = next(batches)
            if traced is None:
                ids = isinstance(inputs, dict)
                read = {name: spec(array, free=True) for name, array in inputs.items()} if ids else spec(inputs)
                traced = tensorflow.function(
                    lambda *data: step(data),
                    input_signature=(read, spec(targets), spec(weights)),
                    autograph=False,
                )
            return traced(inputs, targets, weights)

        return run

    model.train_function, model.test_function = once(model.train_step), once(model.test_step)


def predict_once(model):
    """Trace the prediction of a model one time, for arrays of any length in each of their dimensions.

    Keras would trace it for the first batch, and at the second shape again for any: some seven seconds each for a
    language model of 135 million parameters on two cores.
    """
    import tensorflow

    specs = {tensor.name: tensorflow.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs}
    traced = tensorflow.function(
        lambda inputs: model(inputs, training=False), input_signature=(specs,), autograph=False
    )
    model.predict_function = lambda batches: traced(next(iter(batches))[0])


def generate_once(lm):
    """Trace the generation of a causal language model of KerasHub one time, for any number and length of prompts."""
    import tensorflow

    traced = {}

    def generate(inputs, stop_token_ids):
        if stop_token_ids not in traced:
            specs = {name: tensorflow.TensorSpec((None, None), "int32") for name in inputs}
            traced[stop_token_ids] = tensorflow.function(
                lambda inputs: lm.generate_step(inputs, stop_token_ids), input_signature=(specs,), autograph=False
            )
        return traced[stop_token_ids](inputs)

    lm.generate_function = generate
