"""The page that the app serves."""

from tests.web.serving import Served


async def test_the_page_has_nothing_inline_or_foreign(served: Served) -> None:
    page = (await served.http.get("/")).text
    assert "<style" not in page
    assert "style=" not in page
    assert " on" not in page.replace(" once", "").replace(" one", "").replace(" on ", " ")
    assert page.count("<script") == page.count("<script src=") + page.count(
        '<script type="module" src='
    )
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
