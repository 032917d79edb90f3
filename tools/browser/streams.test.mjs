// Checks that clients which others have written understand our streams: RAPPORT_URL is the server, TOKEN a coach's, SESSION
// one of the coach's sessions, AFTER the cursor before its first event, INSIGHT one of its insights, RESTART an address
// that puts another server in the place of this one.

import assert from 'node:assert/strict'
import {test} from 'node:test'

import {createClient as overSSE} from 'graphql-sse'
import {createClient as overSocket} from 'graphql-ws'
import WebSocket from 'ws'

const {RAPPORT_URL, TOKEN, SESSION, AFTER, INSIGHT, RESTART} = process.env
const url = new URL('/graphql', RAPPORT_URL).href
const Authorization = `Bearer ${TOKEN}`

const clients = {
  'graphql-ws': (options = {}) =>
    overSocket({
      url: url.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: {Authorization},
      retryWait: () => Promise.resolve(),
      ...options,
    }),
  'graphql-sse': (options = {}) => overSSE({url, headers: {Authorization}, retry: () => Promise.resolve(), ...options}),
}

/** All results of an operation that ends by itself; rejected with its error. */
const results = (client, payload) =>
  new Promise((resolve, reject) => {
    const all = []
    client.subscribe(payload, {next: r => all.push(r), error: reject, complete: () => resolve(all)})
  })

/** What an operation is refused with, however the client says so. */
const refusal = (client, query) =>
  results(client, {query}).then(
    ([result]) => result.errors,
    errors => errors,
  )

const events = `subscription ($session: ID, $after: String) {
  insightEvents(sessionId: $session, after: $after) { __typename cursor ... on InsightRevised { insight { title } } }
}`

for (const [name, open] of Object.entries(clients)) {
  test(`${name}: queries and mutations`, async () => {
    const client = open()
    const [{data}] = await results(client, {query: '{ viewer { user { name } } }'})
    assert.equal(data.viewer.user.name, 'Ruth Calloway')
    const [changed] = await results(client, {query: 'mutation { createClient(input: {name: " "}) { userErrors { code } } }'})
    assert.equal(changed.data.createClient.userErrors[0].code, 'INVALID')
    client.dispose()
  })

  test(`${name}: what is refused`, async () => {
    const client = open()
    const codes = async query => (await refusal(client, query)).map(e => e.extensions.code)
    assert.deepEqual(await codes('{ viewer {'), ['GRAPHQL_PARSE_FAILED'])
    assert.deepEqual(await codes('{ marzipan }'), ['GRAPHQL_VALIDATION_FAILED'])
    assert.deepEqual(await codes('subscription { insightEvents(after: "marzipan") { cursor } }'), ['INVALID'])
    client.dispose()
  })

  test(`${name}: a bad token`, async () => {
    const client = open({retryAttempts: 0, connectionParams: {Authorization: 'Bearer bad'}, headers: {Authorization: 'Bearer bad'}})
    await assert.rejects(results(client, {query: '{ viewer { user { name } } }'}), error => error.code === 4403 || error.response?.status === 401)
    client.dispose()
  })

  test(`${name}: leaving`, async () => {
    const client = open()
    for await (const {data} of client.iterate({query: events, variables: {session: SESSION, after: AFTER}})) {
      assert.ok(data.insightEvents.cursor)
      break
    }
    client.dispose()
  })
}

// Each listener keeps the cursor of its last event in the variables, which its client sends again when it comes back.
test('both come back when the server stops, and miss nothing', async () => {
  const waiting = Object.entries(clients).map(([name, open]) => {
    const variables = {session: SESSION, after: AFTER}
    const listener = {seen: []}
    listener.started = new Promise(resolve => (listener.start = resolve))
    listener.revised = new Promise((resolve, reject) => {
      listener.client = open()
      listener.client.subscribe(
        {query: events, variables},
        {
          next({data, errors}) {
            if (errors) return reject(new Error(`${name}: ${JSON.stringify(errors)}`))
            const event = data.insightEvents
            listener.seen.push(event.cursor)
            variables.after = event.cursor
            listener.start()
            if (event.insight?.title === 'After the restart') resolve()
          },
          error: reason => reject(new Error(`${name} gives up: ${JSON.stringify(reason)} ${reason}`)),
          complete: () => reject(new Error(`${name} believes that all has been said`)),
        },
      )
    })
    return listener
  })
  await Promise.all(waiting.map(l => l.started))

  assert.equal((await fetch(RESTART, {method: 'POST'})).status, 204)
  const review = 'mutation ($id: ID!) { reviewInsight(input: {insightId: $id, decision: EDIT, title: "After the restart"}) { insight { id } } }'
  const answer = await fetch(url, {
    method: 'POST',
    headers: {Authorization, 'Content-Type': 'application/json'},
    body: JSON.stringify({query: review, variables: {id: INSIGHT}}),
  })
  assert.equal(answer.status, 200)
  await Promise.all(waiting.map(l => l.revised))

  const undisturbed = []
  for await (const {data} of clients['graphql-sse']().iterate({query: events, variables: {session: SESSION, after: AFTER}})) {
    undisturbed.push(data.insightEvents.cursor)
    if (undisturbed.length >= Math.max(...waiting.map(l => l.seen.length))) break
  }
  for (const {seen, client} of waiting) {
    assert.deepEqual(seen, undisturbed.slice(0, seen.length))
    client.dispose()
  }
})
