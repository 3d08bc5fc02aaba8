-- What every test file begins with: three packages, one of which has a review.
INSERT INTO package (name, version, section, summary, description, homepage, maintainer, size_bytes, tags) VALUES
    ('vim', '2:9.1.0967-1', 'editors', 'Vi IMproved - enhanced vi editor',
     'Vim is an almost compatible version of the UNIX editor Vi.', 'https://www.vim.org/', 'Vim Maintainers', 3891200,
     '["editor", "terminal"]'),
    ('nano', '8.4-1', 'editors', 'small, friendly text editor inspired by Pico',
     'GNU nano is an easy-to-use text editor.', NULL, 'Nano Maintainers', 2973696, '["editor"]'),
    ('ripgrep', '14.1.1-1', 'utils', 'recursively searches directories for a regex <pattern>',
     'It respects your ignore files.', NULL, 'Rust Maintainers', 5242880, '["search"]');

INSERT INTO dependency (package, target) VALUES ('vim', 'libc6'), ('nano', 'libc6'), ('ripgrep', 'vim');

INSERT INTO review (package, author, rating, body, posted_at) VALUES ('nano', 'Bea', 4, 'Does what it says.', 1700000000);
