/* Tables of lists, for a phone: `tables.css` makes a block of each row there, in which each cell names its column.
   Without scripts they are scrolled. */
'use strict';
{
    const title = head => head.querySelector('.visually-hidden, input')
        ? '' : (head.querySelector('.text') ?? head).textContent.trim();

    const isFilled = cell => cell.textContent.trim() !== '' || cell.querySelector('img, svg, progress');

    const mark = (row, titles, isHead) => {
        row.setAttribute('role', 'row');
        [...row.cells].forEach((cell, at) => {
            const isTitle = cell.tagName === 'TH';
            cell.setAttribute('role', !isTitle ? 'cell' : isHead ? 'columnheader' : 'rowheader');
            if (!isTitle && titles[at] && cell.colSpan === 1 && isFilled(cell)) {
                cell.dataset.column = titles[at];
            }
        });
    };

    const stack = table => {
        const heads = table.tHead?.rows[0]?.cells ?? [];
        // A page may hold this script twice.
        if (heads.length === 0 || table.hasAttribute('role')) {
            return;
        }
        const titles = [...heads].map(title);
        table.classList.add('stacked');
        // What is laid out as blocks is a table to screen readers only if it says so.
        table.setAttribute('role', 'table');
        for (const part of [table.tHead, ...table.tBodies]) {
            part.setAttribute('role', 'rowgroup');
            for (const row of part.rows) {
                mark(row, titles, part === table.tHead);
            }
        }
    };

    document.querySelectorAll('.scroll table, #result_list').forEach(stack);
}
