import assert from 'node:assert/strict'
import {test} from 'node:test'

import {decode, formatSize, maxBytes, refusal, textRefusal} from '../src/import/file.js'
import {importAndListen} from '../src/import/flow.js'
import {formatTime, words} from '../src/import/format.js'
import {importableSessions} from '../src/import/importable.js'
import {initial, reduce} from '../src/import/state.js'

const insight = (id, title = id) => ({id, title, kind: 'THEME', status: 'PROPOSED', citations: []})
const added = (cursor, id) => ({__typename: 'InsightAdded', cursor, insight: insight(id)})
const outcome = {transcript: {id: 't1', status: 'PARSED', createdAt: 'then'}, userErrors: []}
const run = (...actions) => actions.reduce(reduce, initial)
const ids = state => state.insights.map(({id}) => id)
const tick = () => new Promise(resolve => setTimeout(resolve, 1))

/** A server that answers and sends what a test wants, and records the order of things. */
function setup({answer = outcome, caught = []} = {}) {
  const order = []
  const handlers = {}
  const subscriptions = []
  let state = initial
  const live = {
    connected: false,
    on: (event, handler) => {
      handlers[event] = handler
      return () => delete handlers[event]
    },
    subscribe(operation, sink) {
      order.push('subscribe')
      const subscription = {operation, sink, open: true}
      subscriptions.push(subscription)
      return () => (subscription.open = false)
    },
  }
  async function request(query) {
    const name = /(mutation|query) (\w+)/.exec(query)[2]
    order.push(name)
    if (name === 'ImportFile') {
      if (answer instanceof Error) throw answer
      return {importTranscript: answer}
    }
    const transcript = {id: 't1', status: 'READY', analysisRuns: {nodes: [{status: 'SUCCEEDED'}]}}
    return {transcript, session: {insights: {nodes: caught}}}
  }
  const stop = importAndListen({
    live,
    request,
    dispatch: action => (state = reduce(state, action)),
    input: {sessionId: 's1', content: 'x'},
  })
  return {order, handlers, subscriptions, stop, state: () => state, last: () => subscriptions.at(-1)}
}

test('listens before it sends', async () => {
  const it = setup()
  await tick()
  assert.deepEqual(it.order, ['subscribe'])
  assert.equal(it.state().phase, 'connecting')
  it.handlers.connected()
  await tick()
  await tick()
  assert.deepEqual(it.order, ['subscribe', 'ImportFile', 'CatchUp'])
  assert.equal(it.state().phase, 'done')
  assert.equal(it.state().live, 'listening')
})

test('shows what arrives before the answer, and each insight once', async () => {
  const it = setup({caught: [insight('a'), insight('b')]})
  it.handlers.connected()
  it.last().sink.next({data: {insightEvents: added('1', 'b')}})
  await tick()
  await tick()
  assert.deepEqual(ids(it.state()), ['a', 'b'])
})

test('goes on after a drop from the last cursor', () => {
  const it = setup()
  it.last().sink.next({data: {insightEvents: added('7', 'a')}})
  assert.equal(it.last().operation.variables.after, '7') // the object that graphql-ws sends again
  it.handlers.closed()
  assert.equal(it.state().live, 'reconnecting')
})

test('fetches anew when too much was missed', async () => {
  const it = setup({caught: [insight('c')]})
  it.handlers.connected()
  await tick()
  await tick()
  it.last().sink.next({data: {insightEvents: added('1', 'gone')}})
  it.last().sink.error([{message: 'too old', extensions: {code: 'RESUME_WINDOW_LOST'}}])
  await tick()
  assert.equal(it.subscriptions.length, 2)
  assert.equal(it.last().operation.variables.after, undefined)
  assert.deepEqual(ids(it.state()), ['c'])
})

test('stops listening when there is nothing to listen for', async () => {
  const userErrors = [{code: 'NO_CUES', message: 'No words.'}]
  for (const answer of [{transcript: null, userErrors}, new Error('The server cannot be reached.')]) {
    const it = setup({answer})
    it.handlers.connected()
    await tick()
    await tick()
    assert.equal(it.state().phase, 'failed')
    assert.equal(it.last().open, false)
    assert.deepEqual(Object.keys(it.handlers), [])
  }
})

test('stopped, it says no more', async () => {
  const it = setup()
  it.stop()
  it.last().sink.next({data: {insightEvents: added('1', 'a')}})
  await tick()
  assert.deepEqual(ids(it.state()), [])
  assert.deepEqual(it.order, ['subscribe'])
})

test('an insight is replaced when revised and goes when retracted', () => {
  const revised = {__typename: 'InsightRevised', cursor: '3', insight: insight('a', 'new words')}
  const retracted = {__typename: 'InsightRetracted', cursor: '4', insightId: 'b'}
  const state = run(...[added('1', 'a'), added('2', 'b'), revised, retracted].map(event => ({type: 'event', event})))
  assert.deepEqual(state.insights.map(({title}) => title), ['new words'])
})

test('only the imported transcript counts, whenever its events come', () => {
  const changed = (id, status) => ({
    type: 'event',
    event: {__typename: 'TranscriptStateChanged', cursor: '1', transcript: {id, status}},
  })
  const answered = {type: 'answered', outcome}
  assert.equal(run(changed('t1', 'READY'), answered).transcript.status, 'READY')
  assert.equal(run(changed('other', 'READY'), answered).transcript, null)
  assert.equal(run(answered, changed('t1', 'READY'), changed('other', 'FAILED')).transcript.status, 'READY')
})

test('an event of a kind to come changes nothing', () => {
  assert.deepEqual(run({type: 'event', event: {__typename: 'InsightMerged', cursor: '1'}}), initial)
})

test('lists the sessions to import into page by page', async () => {
  const asked = []
  let broken = true
  async function request(query, variables) {
    asked.push(/query (\w+)/.exec(query)[1])
    if (query.includes('viewer')) return {viewer: {user: {id: 'user_1'}}}
    if (variables.after && broken) throw new Error('away')
    assert.equal(variables.coach, 'user_1')
    assert.equal(variables.before, '1970-01-02T00:00:00.000Z') // a day from now
    const first = !variables.after
    return {sessions: {nodes: first ? ['b'] : ['a'], pageInfo: {hasNextPage: first, endCursor: first ? '1' : '2'}}}
  }
  const next = importableSessions(request, () => 0)
  assert.deepEqual(await next(), {sessions: ['b'], more: true})
  await assert.rejects(next())
  broken = false
  assert.deepEqual(await next(), {sessions: ['a'], more: false}) // from where it was
  assert.deepEqual(asked, ['Me', 'ImportableSessions', 'ImportableSessions', 'ImportableSessions'])
})

test('refuses files before they are read', () => {
  assert.equal(refusal({name: 'Week 12.VTT', size: 10}), null)
  assert.match(refusal({name: 'talk.mp3', size: 10}), /not a transcript file/)
  assert.match(refusal({name: 'a.vtt', size: 0}), /empty/)
  assert.match(refusal({name: 'a.vtt', size: maxBytes + 1}), /1\.1 MB\. At most 1 MB/)
})

test('counts what a text weighs when sent', () => {
  assert.equal(textRefusal('a'.repeat(maxBytes - 4096)), null)
  assert.match(textRefusal('"'.repeat(maxBytes - 4096)), /At most 1 MB/) // each is two bytes in JSON
})

test('reads the encodings transcripts come in', () => {
  const utf16 = text => Uint8Array.from([0xff, 0xfe, ...new Uint8Array(Uint16Array.from(text, c => c.charCodeAt(0)).buffer)])
  assert.equal(decode(new TextEncoder().encode('Zoë: così')), 'Zoë: così')
  assert.equal(decode(utf16('Zoë: così')), 'Zoë: così')
  assert.equal(decode(Uint8Array.from([0x5a, 0x6f, 0xeb])), 'Zoë') // windows-1252
  assert.equal(decode(Uint8Array.from([0xef, 0xbb, 0xbf, 0x41])), '\ufeffA') // the mark is part of the file
})

test('says times, sizes and names as people do', () => {
  assert.equal(formatTime(754_900), '12:34')
  assert.equal(formatTime(3_723_000), '1:02:03')
  assert.equal(formatSize(120), '120 bytes')
  assert.equal(formatSize(34 * 1024), '34 kB')
  assert.equal(words('CHANGE_TALK'), 'Change talk')
  assert.equal(words('WEBVTT'), 'WebVTT')
})
