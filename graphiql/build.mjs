// Builds the explorer page into dist/, from where the Go package embeds it.
//
// It can be called before every start: when nothing has changed since the last build it reads the sources, compares one
// hash and ends. Everything is built in memory first, so a build that fails leaves the page that was there.

import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {existsSync} from 'node:fs'
import {mkdir, readFile, readdir, rm, stat, writeFile} from 'node:fs/promises'
import {basename, extname, join, relative} from 'node:path'
import {fileURLToPath} from 'node:url'
import {gzipSync} from 'node:zlib'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = join(here, 'dist')
const stampFile = join(dist, '.stamp')
const publicPath = '/graphiql/' // where the server shows dist/, see graphiql.go

// Monaco does its parsing in these; a worker is a page of its own and cannot share the page's modules.
const workers = {
  editor: 'monaco-editor/esm/vs/editor/editor.worker.js',
  json: 'monaco-editor/esm/vs/language/json/json.worker.js',
  graphql: 'monaco-graphql/esm/graphql.worker.js',
}

// GraphiQL's stylesheet carries its fonts inside, for every script of the world. As files a browser fetches only those
// whose characters are on the screen.
const fontsAsFiles = {
  name: 'fonts-as-files',
  setup(build) {
    build.onResolve({filter: /^data:font\//}, ({path}) => ({
      path: 'font.' + /^data:font\/(\w+)/.exec(path)[1],
      namespace: 'font',
      suffix: '?' + hash(path),
      pluginData: path.slice(path.indexOf(',') + 1),
    }))
    build.onLoad({filter: /./, namespace: 'font'}, ({pluginData}) => ({
      contents: Buffer.from(pluginData, 'base64'),
      loader: 'file',
    }))
  },
}

// GraphiQL's stylesheet carries Monaco's too, so the one that each of Monaco's modules asks for is left out.
const oneMonacoStylesheet = {
  name: 'one-monaco-stylesheet',
  setup(build) {
    build.onLoad({filter: /[\\/]monaco-editor[\\/].*\.css$/}, () => ({contents: '', loader: 'css'}))
  },
}

const sources = await readSources()
const stamp = hash(...sources.flat())
if (stamp === (await readFile(stampFile, 'utf8').catch(() => ''))) process.exit(0)

const began = performance.now()
await install()
await checkOperations(sources)
const files = await bundle()
await replaceDist(files)
const size = [...files.values()].reduce((sum, body) => sum + body.length, 0)
console.log(
  `graphiql: ${files.size} files, ${(size / 1e6).toFixed(1)} MB, ${((performance.now() - began) / 1000).toFixed(1)} s`,
)

/** What the page is made of, as [path, content]; a change of any of it is a reason to build. */
async function readSources() {
  const inside = await readdir(join(here, 'src'), {recursive: true, withFileTypes: true})
  const paths = inside
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  const operations = await readdir(join(here, '../docs/operations'))
  paths.push(...operations.sort().map(name => join(here, '../docs/operations', name)))
  paths.push(join(here, 'build.mjs'), join(here, 'package-lock.json'), join(here, '../schema.graphqls'))
  return Promise.all(paths.map(async path => [relative(here, path), await readFile(path, 'utf8')]))
}

/** Installs the packages that the lock file names, unless they are there. */
async function install() {
  // npm writes this file last and touches it with every install, so it tells a finished installation from a broken one.
  const installed = await stat(join(here, 'node_modules/.package-lock.json')).catch(() => null)
  const wanted = await stat(join(here, 'package-lock.json'))
  if (installed && installed.mtimeMs >= wanted.mtimeMs) return
  execFileSync('npm', ['ci', '--ignore-scripts', '--loglevel=error'], {cwd: here, stdio: 'inherit'})
}

/** Ends the build if an operation the page sends or shows does not fit the schema. */
async function checkOperations(sources) {
  const {buildSchema, parse, validate} = await import('graphql')
  const schema = buildSchema(sources.find(([path]) => basename(path) === 'schema.graphqls')[1])
  const problems = sources
    .filter(([path]) => path.endsWith('.graphql'))
    .flatMap(([path, text]) =>
      validate(schema, parse(text)).map(({message, locations: [at]}) => `${path}:${at.line}:${at.column}: ${message}`),
    )
  if (problems.length === 0) return
  console.error(`graphiql: operations that do not fit schema.graphqls:\n  ${problems.join('\n  ')}`)
  process.exit(1)
}

/** Returns the files of dist/ by name. What is served compressed is kept compressed only. */
async function bundle() {
  const {build} = await import('esbuild')
  const common = {
    absWorkingDir: here,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    target: 'es2022',
    legalComments: 'linked',
    outdir: 'dist',
    publicPath,
    entryNames: '[name]-[hash]',
    chunkNames: 'chunk-[hash]',
    assetNames: '[name]-[hash]',
    define: {'process.env.NODE_ENV': '"production"'},
    logLevel: 'warning',
  }
  const workerBuild = await build({...common, entryPoints: workers, format: 'iife'})
  const workerURLs = Object.fromEntries(
    Object.keys(workers).map(name => [name, publicPath + outputOf(workerBuild, workers[name])]),
  )
  const pageBuild = await build({
    ...common,
    entryPoints: {explorer: 'src/main.jsx', icon: 'src/icon.svg'},
    format: 'esm',
    splitting: true, // the header is there before Monaco is
    jsx: 'automatic',
    loader: {'.graphql': 'text', '.svg': 'copy'},
    define: {...common.define, WORKER_URLS: JSON.stringify(workerURLs)},
    plugins: [fontsAsFiles, oneMonacoStylesheet],
  })

  const files = new Map()
  for (const {path, contents} of [...workerBuild.outputFiles, ...pageBuild.outputFiles]) {
    const compressible = !extname(path).startsWith('.woff')
    files.set(
      basename(path) + (compressible ? '.gz' : ''),
      compressible ? gzipSync(contents, {level: 9}) : Buffer.from(contents),
    )
  }
  const script = outputOf(pageBuild, 'src/main.jsx')
  const style = basename(pageBuild.metafile.outputs[`dist/${script}`].cssBundle)
  const template = await readFile(join(here, 'src/index.html'), 'utf8')
  const urls = {script, style, icon: outputOf(pageBuild, 'src/icon.svg')}
  files.set('index.html', Buffer.from(template.replace(/\{\{(\w+)\}\}/g, (_, name) => publicPath + urls[name])))
  return files
}

/** The name of the file that came of an entry point. */
function outputOf({metafile}, entry) {
  const [path] = Object.entries(metafile.outputs).find(
    ([path, output]) => !path.endsWith('.css') && (output.entryPoint ?? '').endsWith(entry),
  )
  return basename(path)
}

/** Writes the files, the stamp last: a build cut short is no build. */
async function replaceDist(files) {
  await mkdir(dist, {recursive: true})
  const old = (await readdir(dist)).filter(name => name !== '.gitkeep')
  await Promise.all(old.map(name => rm(join(dist, name), {recursive: true})))
  await Promise.all([...files].map(([name, body]) => writeFile(join(dist, name), body)))
  await writeFile(stampFile, stamp)
}

function hash(...parts) {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part).update('\0')
  return sum.digest('hex')
}
