/* Renews each element with `data-renewed` and an id when the server says that something has changed.
   `data-events` on the body's main element: the stream that says so. Where it is empty (WSGI) the page is asked for
   every few seconds while somebody looks at it. */
"use strict";

{
    const POLL_MILLISECONDS = 5000;
    const events = document.querySelector("[data-events]").dataset.events;
    let isAsking = false;
    let again = false;

    const renew = async () => {
        if (isAsking) {
            again = true;
            return;
        }
        isAsking = true;
        try {
            const response = await fetch("?again", { credentials: "same-origin" });
            if (response.ok && !response.redirected) {
                const page = new DOMParser().parseFromString(await response.text(), "text/html");
                for (const shown of document.querySelectorAll("[data-renewed]")) {
                    const now = page.getElementById(shown.id);
                    if (now !== null && now.innerHTML !== shown.innerHTML) {
                        shown.replaceChildren(...now.childNodes);
                    }
                }
            }
        } catch {
            // The server is away for a moment: what is shown stays.
        }
        isAsking = false;
        if (again) {
            again = false;
            renew();
        }
    };

    const poll = () => {
        setInterval(() => document.hidden || renew(), POLL_MILLISECONDS);
    };

    if (events) {
        const stream = new EventSource(events);
        stream.onmessage = renew;
        stream.onerror = () => {
            // Refused: the browser will not try again.
            if (stream.readyState === EventSource.CLOSED) {
                poll();
            }
        };
    } else {
        poll();
    }
}
