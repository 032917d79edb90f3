// Monaco asks here for its workers. This must run before the first editor is made, so main.jsx imports it first.
globalThis.MonacoEnvironment = {
  getWorker: (_, label) => new Worker(WORKER_URLS[label] ?? WORKER_URLS.editor), // the build puts WORKER_URLS in
}
