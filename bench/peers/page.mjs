// The page of `component/src/lib.rs` as a worker of workerd: the same bytes, made the same way.
const LINES = 128;
const BYTES = 64 * LINES;

function page() {
    let text = '';
    for (let line = 0; line < LINES; line += 1) {
        text += `${String(line).padStart(5)}  nearby is where this line was written, for this very visitor\n`;
    }
    return text.slice(0, BYTES);
}

export default {
    fetch: () => new Response(page(), { headers: { 'content-type': 'text/plain; charset=utf-8' } }),
};
