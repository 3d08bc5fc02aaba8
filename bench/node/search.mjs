// A plain Node.js server, as `overload` has one for a peer: it looks through the names of a catalogue for a word and renders
// what it finds. One process, one thread, nothing between a request and its work. Prints `listening ADDRESS` first.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';

const names = readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean);
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

function page(words) {
    const found = names.filter((name) => words.every((word) => name.includes(word)));
    const items = found.slice(0, 20).map((name) => `<li><a href="/package/${encodeURIComponent(name)}">${escaped(name)}</a>`);
    return `<!doctype html><html lang=en><title>${escaped(words.join(' '))}</title><p>${found.length} found<ul>${items.join('')}</ul></html>\n`;
}

const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://packages.localhost');
    const words = (url.searchParams.get('q') ?? '').split(' ').filter(Boolean);
    const body = page(url.pathname === '/search' ? words : [url.pathname.slice('/package/'.length)]);
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': Buffer.byteLength(body) });
    response.end(body);
});
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () => {
    const { address, port } = server.address();
    console.log(`listening ${address}:${port}`);
});
// It ends with the bench, however that ends.
process.stdin.on('end', () => process.exit(0)).resume();
