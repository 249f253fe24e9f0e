/* Renews what a page says of work under way while one looks: each element with `data-live` and an
   id. When the one with `data-ended` says "true", the page is loaded anew.
   Without scripts the page shows how far the work was when it was asked for. */
"use strict";

{
    const EVERY_MILLISECONDS = 2000;

    const look = async () => {
        try {
            const response = await fetch(location.href, { credentials: "same-origin" });
            if (response.ok && !response.redirected) {
                const page = new DOMParser().parseFromString(await response.text(), "text/html");
                if (page.querySelector("[data-ended]")?.dataset.ended !== "false") {
                    location.reload();
                    return;
                }
                for (const shown of document.querySelectorAll("[data-live]")) {
                    const now = page.getElementById(shown.id);
                    // What is the same stays, with the focus that may be in it.
                    if (now !== null && !now.isEqualNode(shown)) {
                        shown.replaceWith(now);
                    }
                }
            }
        } catch {
            // The server is away for a moment: what is shown stays, and is asked for again.
        }
        setTimeout(look, EVERY_MILLISECONDS);
    };

    setTimeout(look, EVERY_MILLISECONDS);
}
