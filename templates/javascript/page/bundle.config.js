// Modules of src/ and of node_modules go into the component; these come from the host.
export default { external: [/^nearside:/, /^wasi:/] };
