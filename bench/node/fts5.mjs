// The package directory's search over SQLite's FTS5 as Node.js would have it: better-sqlite3, the statements of a file, the same JSON
// as the native server's (src/serve/search.rs), and as many processes as asked for on one port. Prints `listening ADDRESS` first.
//   node fts5.mjs DATABASE QUERIES PROCESSES
import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const [, , database, queries, processes] = process.argv;
const RESULTS_PER_PAGE = 20;
const PREFIX_MIN_CHARS = 2;

if (cluster.isPrimary) {
    let listening = 0;
    for (let number = 0; number < Number(processes); number += 1) cluster.fork();
    cluster.on('listening', (_, { address, port }) => {
        listening += 1;
        if (listening === Number(processes)) console.log(`listening ${address}:${port}`);
    });
    cluster.on('exit', () => process.exit(1));
    // It ends with the bench, however that ends.
    process.stdin.on('end', () => process.exit(0)).resume();
} else {
    serve();
}

function serve() {
    // NODE_PATH says where it is, which modules of this kind do not look at.
    const Database = createRequire(import.meta.url)('better-sqlite3');
    const open = new Database(database, { readonly: true, fileMustExist: true });
    open.pragma('mmap_size = 1073741824');
    const statements = new Map();
    for (const part of readFileSync(queries, 'utf8').split(/^-- name: /m).slice(1)) {
        const [name] = part.split('\n', 1);
        statements.set(name.trim(), open.prepare(part.slice(name.length).replace(/;\s*$/, '')).raw());
    }
    const rows = (name, ...values) =>
        statements.get(name).all(Object.fromEntries(values.map((value, at) => [at + 1, value])));

    const server = createServer((request, response) => {
        const url = new URL(request.url, 'http://packages.localhost');
        const body = JSON.stringify(find(rows, url.searchParams.get('q') ?? ''));
        response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
        response.end(body);
    });
    server.keepAliveTimeout = 600_000;
    server.listen(0, '127.0.0.1');
}

function find(rows, q) {
    const found = { q, section: null, tag: null, page: 1, pages: 1, total: 0, results: [], sections: [], tags: [] };
    const text = fullText(q);
    if (text !== '') {
        for (const [kind, value, packages] of rows('search-facets', text, null, null)) {
            if (kind === 'total') found.total = packages;
            else (kind === 'section' ? found.sections : found.tags).push({ value, packages });
        }
    }
    if (found.total > 0) {
        found.pages = Math.ceil(found.total / RESULTS_PER_PAGE);
        found.results = rows('search', text, null, null, RESULTS_PER_PAGE, 0).map((row) => pkg(row, 4));
        const typed = q.trim().toLowerCase();
        const place = found.results.findIndex(({ name }) => name === typed);
        const [exact] = place < 0 ? rows('exact', typed).map((row) => pkg(row, 3)) : found.results.splice(place, 1);
        if (exact !== undefined) found.results.unshift(exact);
    }
    return found;
}

function pkg([name, version, section, ...rest], summary) {
    // What a path need not escape, as the app has it.
    const segment = encodeURIComponent(name).replace(/%(2B|3A|40)/g, (escaped) => decodeURIComponent(escaped));
    return { name, version, section, summary: rest[summary - 3].replace(/[\u0001\u0002]/g, ''), url: `/package/${segment}` };
}

// Every word quoted, all of them wanted; the last one may go on if no space follows it.
function fullText(typed) {
    const words = typed.split(/\s+/).filter(Boolean).map((word) => `"${word.replaceAll('"', ' ')}"`);
    const last = /[\p{L}\p{N}]*$/u.exec(typed)[0];
    return words.join(' ') + (last.length >= PREFIX_MIN_CHARS ? ' *' : '');
}
