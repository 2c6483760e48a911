"""Flags and settings: the papers' recipes, and one sentence for whatever is not allowed."""

import dataclasses
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import app, flags

import slotjax
from experiments.configuration.execution import Execution
from experiments.configuration.settings import Request
from experiments.flags import parse as parsing
from experiments.flags.resolve import resolve
from experiments.flags.topics import TOPICS, help_by_topic
from experiments.methods import describe, selector_of
from experiments.program import parsed
from experiments.running import run
from experiments.running.components import Inputs, draw, load_source, network
from slotjax import data
from tests.experiments.flags.parsing import parse


@pytest.mark.parametrize(
    ("arguments", "learning_rate", "weight_decay"),
    [
        (["--k=2"], 0.2, 1e-4),
        (["--k=8"], 0.2, 1e-4),
        (["--k=16"], 0.1, 1e-4),
        (["--selection=probabilistic"], 25, 0),
        (["--selection=probabilistic", "--k=64"], 25, 0),
        (["--k=8", "--learning_rate=0.5", "--weight_decay=0"], 0.5, 0),
        (["--initial=nearest"], 0.05, 0),
        (["--method=edge_popup"], 0.1, 1e-4),
        (["--method=biprop"], 0.1, 1e-4),
        (["--method=multicoat"], 0.1, 1e-4),
        (["--method=supermask"], 200, 0),
        (["--method=learned"], 0.01, 1e-4),
        (["--method=random"], 0, 0),
    ],
)
def test_the_defaults_are_the_papers(arguments, learning_rate, weight_decay):
    chosen, _ = parse(*arguments)
    assert (chosen.learning_rate, chosen.weight_decay) == (learning_rate, weight_decay)
    assert (chosen.batch_size, chosen.momentum, chosen.restarts) == (128, 0.9, (25, 75))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--model=alexnet", "--model: 'alexnet' was given, but it must be one of lenet"),
        (
            "--dataset=svhn",
            "--dataset: 'svhn' was given, but it must be one of mnist_sample, mnist, fashion_mnist, cifar10",
        ),
        ("--selection=best", "--selection: 'best' was given, but it must be one of greedy, probabilistic"),
        ("--schedule=linear", "--schedule: 'linear' was given, but it must be one of constant, cosine, warm_restarts"),
        ("--distribution=cauchy", "--distribution: 'cauchy' was given"),
        ("--scores=sparse", "--scores: 'sparse' was given, but it must be one of explicit, factored"),
        ("--options=none", "--options: 'none' was given, but it must be one of stored, seeded"),
        ("--method=adam", "--method: 'adam' was given, but it must be one of slot_machine, edge_popup, biprop"),
        ("--share=all", "--share: 'all' was given, but it must be one of connection, layer, network"),
        ("--initial=zero", "--initial: 'zero' was given"),
        ("--ranking=row", "--ranking: 'row' was given, but it must be one of layer, global"),
        ("--evaluation=mean", "--evaluation: 'mean' was given"),
        ("--fan=fan_avg", "--fan: 'fan_avg' was given, but it must be one of fan_in, fan_out"),
        ("--keep_fraction=0", "--keep_fraction: 0.0 was given, but it must be above 0 and at most 1"),
        ("--keep_fractions=0.3,0.5", "--keep_fractions: (0.3, 0.5) was given, but it must be decreasing shares"),
        ("--keep_fractions=", "--keep_fractions: () was given, but it must be decreasing shares, above 0"),
        ("--keep_fractions=0.5,nan", "--keep_fractions: (0.5, nan) was given"),
        ("--keep_fractions=half", "--keep_fractions: 'half' was given, but it must be numbers"),
        ("--pruned=1", "--pruned: 1.0 was given, but it must be from 0 to less than 1"),
        ("--k=0", "--k: 0 was given, but it must be from 1 to 65536"),
        ("--k=-3", "--k: -3 was given"),
        ("--epochs=0", "--epochs: 0 was given"),
        ("--batch_size=0", "--batch_size: 0 was given"),
        ("--learning_rate=-0.1", "--learning_rate: -0.1 was given, but it must be finite in float32 and not negative"),
        ("--learning_rate=nan", "--learning_rate: nan was given"),
        ("--weight_decay=-1", "--weight_decay: -1.0 was given"),
        ("--score_scale=1e39", "--score_scale: 1e+39 was given"),
        ("--momentum=1", "--momentum: 1.0 was given, but it must be from 0 to less than 1"),
        ("--seed=-1", "--seed: -1 was given"),
        ("--restarts=75,25", "--restarts: (75, 25) was given, but it must be ascending epochs from 1"),
        ("--restarts=a", "--restarts: 'a' was given, but it must be whole numbers"),
        ("--checkpoint_every=0", "--checkpoint_every: 0 was given"),
        ("--keep_epochs=0,3", "--keep_epochs: (0, 3) was given"),
        ("--scale_factor=0", "--scale_factor: 0.0 was given, but it must be above 0 and at most 1000"),
        ("--epoch_steps=0", "--epoch_steps: 0 was given, but it must be from 1 to 2147483647"),
        ("--where=biases", "--where: 'biases' was given, but it must be one of kernels, all"),
        ("--model=char_transformer", "--model: char_transformer needs --dataset=stdlib, but that is mnist_sample"),
        ("--dataset=stdlib", "--dataset: stdlib needs --model=char_transformer, but that is lenet"),
        ("--keep_epochs=61", "--keep_epochs: (61,) was given, but --epochs is 60"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(argument, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(argument)


@pytest.mark.parametrize(
    ("arguments", "schedule", "epochs", "distribution"),
    [
        ([], "warm_restarts", 60, "glorot_uniform"),
        (["--dataset=mnist"], "warm_restarts", 200, "glorot_uniform"),
        (["--method=learned", "--dataset=mnist"], "warm_restarts", 200, "glorot_uniform"),
        (["--method=learned", "--init_from=runs/x"], "warm_restarts", 100, "glorot_uniform"),
        (["--method=edge_popup"], "cosine", 60, "signed_kaiming_constant"),
        (["--method=edge_popup", "--dataset=mnist"], "cosine", 100, "signed_kaiming_constant"),
        (["--method=biprop", "--dataset=mnist"], "cosine", 100, "kaiming_normal"),
        (["--method=multicoat", "--dataset=mnist"], "cosine", 100, "signed_kaiming_constant"),
        (["--method=supermask", "--epochs=7", "--schedule=constant"], "constant", 7, "signed_kaiming_constant"),
        (["--method=random", "--distribution=xavier_normal"], "constant", 1, "xavier_normal"),
    ],
)
def test_the_method_decides_what_is_not_given(arguments, schedule, epochs, distribution):
    chosen, _ = parse(*arguments)
    assert (chosen.schedule, chosen.epochs, chosen.distribution) == (schedule, epochs, distribution)


def test_flags_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="--init_from: it needs --initial=given, but that is uniform"):
        parse("--init_from=runs/x")
    with pytest.raises(ValueError, match="--initial: given starts from the weights of another run, so"):
        parse("--initial=given")
    with pytest.raises(ValueError, match="--init_from: it needs --method=slot_machine or learned, but"):
        parse("--init_from=runs/x", "--method=supermask")
    with pytest.raises(ValueError, match="--sparse: it needs a --k of at least 2, but 1 was given"):
        parse("--sparse", "--k=1")
    latent = parse("--optimizer=adam")[0]
    assert latent.scores == "factored"
    assert describe(latent) == "greedy slot machine, K = 8, latent values"
    assert describe(parse("--optimizer=adam", "--scores=explicit")[0]) == "greedy slot machine, K = 8"
    with pytest.raises(ValueError, match=r"--kept: with --pruned=0\.5, 0\.49 leaves less than 1/32 to be chosen"):
        parse("--method=partly_frozen", "--pruned=0.5", "--kept=0.49")
    with pytest.raises(ValueError, match="--train_on_all: it is not for imagenet2012"):
        parse("--train_on_all", "--dataset=imagenet2012")


def test_adam_has_a_recipe_of_its_own():
    chosen, _ = parse("--optimizer=adam", "--method=learned", "--model=conv4", "--dataset=cifar10")
    assert (chosen.learning_rate, chosen.batch_size, chosen.schedule) == (3e-4, 60, "constant")
    assert chosen.weight_decay == 0


def test_all_training_images_are_trained_on_when_asked_for(digits):
    some, everything = (
        load_source(resolve(Request(dataset=f"npz:{digits}", train_on_all=whole)), None) for whole in (False, True)
    )
    assert len(everything.train.labels) == len(some.train.labels) + len(some.validation.labels)
    np.testing.assert_array_equal(everything.test.images, some.test.images)


def test_only_the_first_images_are_used_when_asked_for(digits):
    some, everything = (
        load_source(resolve(Request(dataset=f"npz:{digits}", examples=count)), None) for count in (50, None)
    )
    for split, whole in zip(some[:3], everything[:3], strict=True):
        np.testing.assert_array_equal(split.images, whole.images[:50])
        np.testing.assert_array_equal(split.labels, whole.labels[:50])
    with pytest.raises(ValueError, match="--examples: 0 was given, but it must be from 1 to 2147483647"):
        parse("--examples=0")


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="--nesterov: it needs a --momentum above 0"):
        parse("--nesterov", "--momentum=0")
    with pytest.raises(ValueError, match="--nesterov: it is of sgd's momentum, but --optimizer is adam"):
        parse("--nesterov", "--optimizer=adam", "--method=learned")


def test_every_flag_is_explained_with_its_default():
    values = flags.FlagValues()
    parsing.define_flags(values)
    for name in values:
        assert len(values[name].help) >= 15, name
        assert values[name].help.endswith("."), name
    assert {"model", "k", "seed", "workdir", "overwrite", "data_dir", "keep_epochs"} < set(values)


@pytest.fixture
def no_compilation(compilations):
    compilations.clear()
    yield
    assert not compilations


def refused(message, *arguments):
    with pytest.raises(run.RunError, match=message):
        run.run(*parse(*arguments))


def test_what_does_not_fit_the_data_is_refused_before_compiling(tmp_path, digits, no_compilation):
    workdir = f"--workdir={tmp_path / 'run'}"
    refused(
        "--batch_size: it is 801, .* at most the 560 training",
        f"--dataset=npz:{digits}",
        "--batch_size=801",
        workdir,
    )
    refused("--batch_size: it is 6, .* devices, 4", f"--dataset=npz:{digits}", "--batch_size=6", workdir)
    refused("not prepared in", "--dataset=mnist", f"--data_dir={tmp_path}", workdir)
    refused("names no file", "--dataset=npz:none.npz", workdir)
    np.savez(tmp_path / "bad.npz", x_train=np.full((4, 2), np.nan), y_train=np.arange(4))
    refused("NaN", f"--dataset=npz:{tmp_path / 'bad.npz'}", workdir)
    assert not (tmp_path / "run").exists()


def test_a_workdir_that_cannot_be_used_is_refused_before_compiling(tmp_path, digits, no_compilation):
    (tmp_path / "file").write_text("")
    dataset = f"--dataset=npz:{digits}"
    refused("--workdir: .* cannot be written", dataset, f"--workdir={tmp_path / 'file' / 'run'}")
    refused("--workdir: .* is not a directory", dataset, f"--workdir={tmp_path / 'file'}")
    refused("--workdir: .* holds no run", dataset, f"--workdir={tmp_path}")
    refused("--overwrite: .* holds no run, so it is left alone", dataset, f"--workdir={tmp_path}", "--overwrite")
    (tmp_path / "config.json").write_text('{"architectures": ["a"], "settings": {}}')
    (tmp_path / "checkpoints").mkdir()
    refused("--overwrite: .* left alone", dataset, f"--workdir={tmp_path}", "--overwrite")
    assert (tmp_path / "file").exists()
    assert (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings"'])
def test_a_damaged_config_is_named(tmp_path, digits, content):
    (tmp_path / "config.json").write_text(content)
    refused("--workdir: .*config.json is damaged", f"--dataset=npz:{digits}", f"--workdir={tmp_path}")
    assert (tmp_path / "config.json").read_text() == content


def test_the_model_is_built_for_the_classes_and_shapes_of_the_data(digits):
    experiment = run.build(resolve(Request(dataset=f"npz:{digits}")), data.load(f"npz:{digits}"))
    assert experiment.network.shapes["Dense_2"]["kernel"].shape == (100, 10)
    assert experiment.mesh.size == 4


@pytest.mark.quick("request_4")
@pytest.mark.parametrize(
    "request_",
    [
        Request(distribution="glorot_normal", options="stored"),
        Request(initial="nearest", scores="explicit"),
        Request(method="edge_popup"),
        Request(method="learned"),
        Request(model="conv2", share="network"),
    ],
)
def test_drawing_in_one_program_gives_what_init_gives(request_, compilations):
    settings = resolve(request_)
    built = network(settings, Inputs((32, 32, 3), "uint8", 10))
    selector, key = selector_of(settings), jax.random.key(3)
    compilations.clear()
    drawn = draw(selector, key, built.shapes)
    assert len(compilations) == 1
    expected = selector.init(key, built.shapes)
    for one, other in zip(jax.tree.leaves(drawn["frozen"]), jax.tree.leaves(expected["frozen"]), strict=True):
        np.testing.assert_array_equal(one, other)  # not only within rounding: what is frozen can be drawn again
    chex.assert_trees_all_close(drawn["params"], expected["params"], rtol=1e-6, atol=1e-7)
    assert jax.tree.structure(drawn) == jax.tree.structure(expected)


def test_drawing_keeps_weights_that_are_given():
    weights = {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)}
    chex.assert_trees_all_equal(draw(slotjax.learned(), jax.random.key(0), weights)["params"], weights)


def test_help_has_every_flag_once_and_ten_of_them_first(capsys, monkeypatch):
    values = flags.FlagValues()
    parsing.define_flags(values)
    flags.DEFINE_flag(app.HelpFlag(), values)
    monkeypatch.setattr(flags, "FLAGS", values)
    with pytest.raises(SystemExit) as end:
        parsed(["train", "--help"], help_by_topic)
    assert end.value.code == 0
    named = re.findall(r"^  --(?:\[no\])?(\w+):", capsys.readouterr().out, re.MULTILINE)
    assert sorted(named) == sorted(field.name for kind in (Request, Execution) for field in dataclasses.fields(kind))
    assert named[:10] == [*next(iter(TOPICS.values()))]


def test_the_help_says_the_recipes_numbers_and_whom_a_flag_concerns():
    values = flags.FlagValues()
    parsing.define_flags(values)
    rates = values["learning_rate"].help
    for words in ("0.0003 with Adam", "0.2 for K up to 8", "of supermasks: 200", "0.256 on ImageNet"):
        assert words in rates
    assert values["ranking"].help.startswith("Edge-popup: ")
    assert values["options"].help.startswith("Slot machines, edge-popup, biprop, multicoated supermasks, partly ")
    assert "random (nothing is trained)" in values["method"].help
    assert "so there is none with --epochs=1. Default: 5 on ImageNet" in values["warmup_epochs"].help
    assert "windows of a text" in values["examples"].help
    for field in dataclasses.fields(Request):
        assert ("Default" in values[field.name].help) == (field.default is None)
