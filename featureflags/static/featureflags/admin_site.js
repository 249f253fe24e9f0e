/* Every page of the admin: names for what Django's own scripts leave nameless to screen readers. */
'use strict';
{
    const nameAutocompletes = () => {
        for (const box of document.querySelectorAll('.select2-selection')) {
            const select = box.closest('.select2-container').previousElementSibling;
            const label = select?.labels?.[0];
            if (!label) {
                continue;
            }
            label.id ||= `${select.id}_label`;
            const chosen = box.querySelector('[role="textbox"]');
            box.setAttribute('aria-labelledby', [label.id, chosen?.id].filter(Boolean).join(' '));
            chosen?.setAttribute('aria-labelledby', label.id);
        }
    };
    const nameIcons = () => {
        for (const icon of document.querySelectorAll('span.help-tooltip[aria-label]')) {
            icon.setAttribute('role', 'img');
        }
    };
    const nameAll = () => {
        nameAutocompletes();
        nameIcons();
    };
    // Django's scripts make them at a moment of their own, and for each form that is added.
    nameAll();
    new MutationObserver(nameAll).observe(document.body, {childList: true, subtree: true});
}
