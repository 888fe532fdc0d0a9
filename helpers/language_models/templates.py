"""Run a model's chat template: a program (Jinja) that comes with the model, in a sandbox, as Transformers does."""

import datetime
import functools
import json

STEPS = 100_000  # rounds of loops and calls that a template may take to write one conversation
TODAY = datetime.date(2026, 1, 1)  # for templates that ask for it: rows must not change with the day


def write(model, messages, opened):
    """What the template writes; ValueError, one sentence, if it fails or refuses."""
    import jinja2

    if not model.template:
        raise ValueError(f"{model.name} has no chat template: give load one, template=")
    try:
        template = _compiled(model.template)
        template.environment.left = STEPS
        return template.render(
            messages=messages,
            add_generation_prompt=opened,
            bos_token=name(model, "bos"),
            eos_token=name(model, "eos"),
            tools=None,
            documents=None,
        )
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"the template of {model.name} is broken in line {error.lineno}: {error.message}") from None
    except Exception as error:  # a template is a program of others: it may raise anything
        said = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"the template of {model.name} refuses the conversation: {said}") from None


def name(model, which):
    """The control string that begins or ends a text, "" for none."""
    id_ = getattr(model.tokeniser, which)
    return next((string for string, number in model.tokeniser.control.items() if number == id_), "")


@functools.lru_cache(maxsize=16)
def _compiled(template):
    """A template that may look at what it is given, change nothing, and take STEPS rounds of loops and calls."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Around what the assistant says some templates write {% generation %}; it stands for nothing here."""

        tags = {"generation"}

        def parse(self, parser):
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    class Sandbox(ImmutableSandboxedEnvironment):
        left = STEPS

        def step(self):
            self.left -= 1
            if self.left < 0:
                raise TemplateError(f"it takes more than {STEPS:,} steps")

        def call(self, context, function, *args, **settings):
            self.step()
            return super().call(context, function, *args, **settings)

    def refuse(message):
        raise TemplateError(message)

    def counted(items):
        for item in items:
            environment.step()
            yield item

    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters["counted"] = counted
    environment.filters["tojson"] = lambda value, **settings: json.dumps(value, **({"ensure_ascii": False} | settings))
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = TODAY.strftime
    tree = environment.parse(template)
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
    return environment.from_string(tree)
