// Lets Node import .graphql files as the bundler does: as their text.

import {readFile} from 'node:fs/promises'
import {register} from 'node:module'
import {fileURLToPath} from 'node:url'

if (!import.meta.url.endsWith('?hooks')) register(import.meta.url + '?hooks')

export async function load(url, context, next) {
  if (!url.endsWith('.graphql')) return next(url, context)
  const source = `export default ${JSON.stringify(await readFile(fileURLToPath(url), 'utf8'))}`
  return {format: 'module', source, shortCircuit: true}
}
