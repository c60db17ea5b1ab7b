"""The published networks against their graphs in PyTorch, written as the sources do."""

import collections

import numpy as np
import pytest

from tests import narrow

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of the layers")
F = torch.nn.functional


class Net:
    """Variables of a module; `net("Dense")` are those of its next `Dense`."""

    def __init__(self, params, stats):
        self.params, self.stats = params, stats
        self.used = collections.Counter()

    def __call__(self, kind):
        name = f"{kind}_{self.used[kind]}"
        self.used[kind] += 1
        return self.named(name)

    def named(self, name):
        return Net(self.params[name], self.stats.get(name, {}))

    def __getitem__(self, name):
        found = self.params.get(name, self.stats.get(name))
        return None if found is None else torch.tensor(np.asarray(found))


def conv(net, x, padding=None, **options):
    weight = net["kernel"]
    weight = weight[None, None] if weight.ndim == 2 else weight
    padding = weight.shape[0] // 2 if padding is None else padding
    return F.conv2d(
        x, weight.permute(3, 2, 0, 1), net["bias"], padding=padding, **options
    )


def conv_transposed(net, x):
    size = [2 * side for side in x.shape[2:]]
    weight = net["kernel"].permute(2, 3, 0, 1)
    x = F.conv_transpose2d(x, weight, net["bias"], stride=2)
    return x[..., : size[0], : size[1]]


def batch_norm(net, x, epsilon=1e-3, training=False):
    stats = (None, None) if training else (net["mean"], net["var"])
    scale, bias = net["scale"], net["bias"]
    return F.batch_norm(x, *stats, scale, bias, training=training, eps=epsilon)


def instance_norm(net, x):
    return F.instance_norm(x, weight=net["scale"], bias=net["bias"])


def nearest(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


def bilinear(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def pad_end(x, value=0.0):
    return F.pad(x, (0, 1, 0, 1), value=value)


def conv_2x2_enlarged(net, x):
    return F.relu(conv(net("NearestConv"), pad_end(nearest(x)), padding=0))


def layer(net, x, act=F.relu, **norm):
    x = conv(net, x)
    if "BatchNorm_0" in net.params:
        x = batch_norm(net("BatchNorm"), x, **norm)
    return act(x)


def block(net, x, **options):
    for _ in range(2):
        x = layer(net("ConvNorm"), x, **options)
    return x


def unet(net, x, enlarge, levels, gate=lambda net, x, below: x, **options):
    skips = []
    for level in range(levels):
        x = F.max_pool2d(x, 2) if level else x
        x = block(net("ConvBlock"), x, **options)
        skips.append(x)
    for skip in skips[-2::-1]:
        skip = gate(net, skip, x)
        x = torch.cat([enlarge(net, x), skip], dim=1)
        x = block(net("ConvBlock"), x, **options)
    return conv(net("Dense"), x)


def plain(net, x):
    return unet(net, x, lambda net, x: nearest(x), 3)


def mining(net, x):
    def enlarge(net, x):
        return conv_transposed(net("TransposedConv"), x)

    return unet(net, x, enlarge, 3, epsilon=1e-5)


def deforestation(net, x):
    return unet(net, x, conv_2x2_enlarged, 3)


def deforestation_as_meant(net, x):
    def enlarge(net, x):
        return F.relu(conv_transposed(net("TransposedConv"), x))

    return unet(net, x, enlarge, 2)


def elu(net, x):
    return unet(net, x, lambda net, x: nearest(x), 2, act=F.elu)


def attention(net, x):
    def gate(net, skip, below):
        if skip.shape[1] == 4:  # the finest
            return skip
        if below.shape[1] == 10:  # the bottom
            below = layer(net("ConvNorm"), below, epsilon=1e-5)
        own = net("AttentionGate")
        theta = own.named("theta")
        theta.params = {
            "kernel": theta.params["kernel"].reshape(2, 2, -1, *skip.shape[1:2])
        }
        hidden = conv(theta, skip, padding=0, stride=2) + conv(own.named("phi"), below)
        share = torch.sigmoid(conv(own.named("psi"), F.relu(hidden)))
        passed = conv(own.named("passed"), skip * bilinear(share))
        return batch_norm(own("BatchNorm"), passed, epsilon=1e-5)

    return unet(net, x, lambda net, x: bilinear(x), 4, gate=gate, epsilon=1e-5)


def deepsense(net, x, poolings=3, bottom=0):
    def layer(x):
        return F.relu(conv(net("ConvNorm"), batch_norm(net("BatchNorm"), x)))

    x = F.relu(conv(net("ConvNorm"), x))
    first = layer(x)
    skips = [first]
    x = F.max_pool2d(layer(first), 2)
    for _ in range(poolings - 1):
        second = layer(layer(x))
        skips.append(second)
        x = F.max_pool2d(layer(second), 2)
    for _ in range(bottom):
        x = layer(x)
    for skip in reversed(skips):
        x = conv_transposed(net("TransposedConv"), batch_norm(net("BatchNorm"), x))
        x = layer(layer(torch.cat([x, skip], dim=1)))
    return conv(net("Dense"), x)


def deepsense_as_meant(net, x):
    return deepsense(net, x, poolings=2, bottom=2)


def full_scale(net, x):
    def up(x):
        return F.relu(conv(net("NearestConv"), nearest(x)))

    def merged(*maps):
        return block(net("ConvBlock"), torch.cat(maps, dim=1))

    c1 = block(net("ConvBlock"), x)
    c2 = block(net("ConvBlock"), F.max_pool2d(c1, 2))
    c3 = block(net("ConvBlock"), F.max_pool2d(c2, 2))
    c4 = block(net("ConvBlock"), F.max_pool2d(c3, 2))
    c4_1 = up(c4)
    x = merged(c3, conv_2x2_enlarged(net, c4), c4_1)
    c4_2, c3_1 = up(c4_1), up(c3)
    x = merged(c2, conv_2x2_enlarged(net, x), c4_2, c3_1)
    c4_3, c3_2, c2_1 = up(c4_2), up(c3_1), up(c2)
    x = merged(c1, conv_2x2_enlarged(net, x), c4_3, c3_2, c2_1)
    return conv(net("Dense"), x)


def separable(net, x):
    def separable_conv(x):
        own = net("SeparableConv")
        channels = x.shape[1]
        weight = own["kernel"].permute(2, 0, 1)[:, None]
        return conv(own("Dense"), F.conv2d(x, weight, padding=1, groups=channels))

    x = conv(net("ConvNorm"), pad_end(x), padding=0, stride=2)
    x = F.relu(batch_norm(net("BatchNorm"), x))
    for _ in range(2):
        before = x
        for _ in range(2):
            x = batch_norm(net("BatchNorm"), separable_conv(F.relu(x)))
        x = F.max_pool2d(pad_end(x, -torch.inf), 3, stride=2)
        x = x + conv(net("Dense"), before, stride=2)
    for _ in range(3):
        before = nearest(x)
        for _ in range(2):
            x = batch_norm(net("BatchNorm"), conv(net("ConvNorm"), F.relu(x)))
        x = nearest(x) + conv(net("Dense"), before)
    return conv(net("ConvNorm"), x)


def context(net, x):
    image = batch_norm(net("BatchNorm"), x)
    x = image
    for _ in range(3):
        x = layer(net("ConvNorm"), x, act=F.elu)
    seen = [
        conv(net("ConvNorm"), x, padding=dilation, dilation=dilation)
        for dilation in (1, 2)
    ]
    x = F.elu(batch_norm(net("BatchNorm"), torch.cat([image, *seen], dim=1)))
    x = conv(net("Dense"), layer(net("ConvNorm"), x, act=F.elu))
    return F.pad(x[..., 3:-3, 3:-3], (3, 3, 3, 3), value=np.log(1e-7 / (1 - 1e-7)))


def resenc(net, x):
    def layer(net, x, **options):
        x = conv(net, x, padding=1, **options)
        return F.leaky_relu(instance_norm(net("InstanceNorm"), x), 0.01)

    def residual(net, x, stride=1):
        shortcut = F.avg_pool2d(x, stride)
        if "Dense_0" in net.params:
            shortcut = conv(net("Dense"), shortcut)
            shortcut = instance_norm(net("InstanceNorm"), shortcut)
        x = layer(net("ConvNorm"), x, stride=stride)
        x = conv(net("ConvNorm"), x)
        return F.leaky_relu(instance_norm(net("InstanceNorm"), x) + shortcut, 0.01)

    fine = residual(net("ResidualBlock"), layer(net("ConvNorm"), x))
    middle = residual(net("ResidualBlock"), fine, stride=2)
    middle = residual(net("ResidualBlock"), middle)
    x = residual(net("ResidualBlock"), middle, stride=2)
    for skip in (middle, fine):
        x = torch.cat([conv_transposed(net("TransposedConv"), x), skip], dim=1)
        x = layer(net("ConvNorm"), x)
    return conv(net("Dense"), x)


GRAPHS = {
    "plain": plain,
    "deepsense": deepsense,
    "deepsense, as meant": deepsense_as_meant,
    "mining": mining,
    "deforestation": deforestation,
    "deforestation, as meant": deforestation_as_meant,
    "full scale": full_scale,
    "elu": elu,
    "separable": separable,
    "context": context,
    "resenc": resenc,
    "attention": attention,
}


def of_torch(graph, variant, image):
    variables = narrow.variables_of(variant)
    net = Net(variables["params"], variables.get("batch_stats", {}))
    found = graph(net, torch.tensor(image).permute(0, 3, 1, 2))
    # Every layer has been called.
    kinds = collections.Counter(name.rpartition("_")[0] for name in net.params)
    kinds["Dense"] -= variant == "resenc"  # the logits of deep supervision
    assert net.used == kinds
    return found.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("variant", GRAPHS)
def test_logits_are_those_of_the_graph(variant):
    image, logits, _ = narrow.predicted(variant)
    expected = of_torch(GRAPHS[variant], variant, image)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)


def test_the_norm_before_which_is_cropped_knows_nothing_of_the_border():
    style = {"act": F.elu, "training": True}

    def cropped(net, x):
        x = F.pad(x, (0, 0, 0, 1), mode="replicate")
        skip = block(net("ConvBlock"), x, **style)
        below = block(net("ConvBlock"), F.max_pool2d(skip, 2), **style)
        x = torch.cat([nearest(below), skip], dim=1)
        x = layer(net("ConvNorm"), x, **style)
        x = conv(net("ConvNorm"), x)[..., 3:-3, 3:-3]
        x = F.elu(batch_norm(net("BatchNorm"), x, training=True))
        return conv(net("Dense"), x)[..., : 13 - 6, :]

    variant = "elu, cropped"
    expected = of_torch(cropped, variant, narrow.normal(2, 13, 18, 3))
    logits = narrow.trained(variant)[0]
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
