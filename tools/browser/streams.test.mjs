// Checks that clients which others have written understand our streams. RAPPORT_URL is a load balancer before two servers that ping
// every half a second; TOKEN is a coach's, SESSION one of the coach's sessions, AFTER the cursor before its first event, INSIGHT one of
// its insights. CONTROL is what the test can be asked for: /token, one that lives for three seconds; /published, how many events
// the session has; /cut, that all connections are cut; /roll, that others take the place of both servers, one after the other.

import assert from 'node:assert/strict'
import {describe, test} from 'node:test'

import {ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache, Observable} from '@apollo/client/core'
import {GraphQLWsLink} from '@apollo/client/link/subscriptions'
import {EventSource} from 'eventsource'
import {print} from 'graphql'
import {createClient as overSSE} from 'graphql-sse'
import {createClient as overSocket} from 'graphql-ws'
import {cacheExchange, createClient as urql, fetchExchange, subscriptionExchange} from 'urql'
import WebSocket from 'ws'

globalThis.WebSocket ??= WebSocket // Apollo's link looks at its constants

const {RAPPORT_URL, TOKEN, SESSION, AFTER, INSIGHT, CONTROL} = process.env
const url = new URL('/graphql', RAPPORT_URL).href
const Authorization = `Bearer ${TOKEN}`
const headers = {Authorization}
const socket = {url: url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams: headers}
const atOnce = {retryAttempts: 1000, shouldRetry: () => true, retryWait: () => pause(20), retry: () => pause(20)}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
const control = async path => (await fetch(new URL(path, CONTROL), {method: 'POST'})).text()

/** A client that comes back where it was: the cursor of its last event is in the variables, which are sent again. */
const resuming = client => ({
  ...client,
  subscribe(payload, sink, ...rest) {
    const variables = {...payload.variables}
    const next = result => {
      const [event] = Object.values(result.data ?? {})
      if (event?.cursor) variables.after = event.cursor
      sink.next(result)
    }
    return client.subscribe({...payload, variables}, {...sink, next, error: e => sink.error(e), complete: () => sink.complete()}, ...rest)
  },
})

/** graphql-ws and graphql-sse, which have the same interface. */
const plain = client => ({
  ask: (query, variables) =>
    new Promise((resolve, reject) => {
      let last
      client.subscribe({query, variables}, {next: r => (last = r), error: e => (Array.isArray(e) ? resolve({errors: e}) : reject(e)), complete: () => resolve(last)})
    }),
  listen: (query, variables, sink) =>
    client.subscribe({query, variables}, {...sink, error: e => (Array.isArray(e) ? sink.next({errors: e}) : sink.error(e))}),
  close: () => client.dispose(),
})

/** urql, its subscriptions over another client, or by itself over server-sent events. */
function urqlOver(client) {
  const exchange = subscriptionExchange({
    forwardSubscription: request => ({
      subscribe: sink => ({unsubscribe: client.subscribe({...request, query: request.query ?? ''}, sink)}),
    }),
  })
  const c = urql({
    url,
    fetchOptions: {headers},
    requestPolicy: 'network-only',
    fetchSubscriptions: !client,
    exchanges: client ? [cacheExchange, fetchExchange, exchange] : [cacheExchange, fetchExchange],
  })
  const plainly = ({data, error}) => {
    if (error?.networkError) throw error.networkError
    return {data, errors: error?.graphQLErrors}
  }
  return {
    ask: async (query, variables) => plainly(await (query.startsWith('mutation') ? c.mutation : c.query)(query, variables).toPromise()),
    listen(query, variables, sink) {
      const {unsubscribe} = c.subscription(query, variables).subscribe(r => (r.error?.networkError ? sink.error(r.error.networkError) : sink.next(plainly(r))))
      return unsubscribe
    },
    close: () => client?.dispose(),
  }
}

/** Apollo Client, its subscriptions over a link. */
function apolloOver(link, client) {
  const http = new HttpLink({uri: url, headers})
  const c = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(({operationType}) => operationType === 'subscription', link, http),
    defaultOptions: Object.fromEntries(['query', 'mutate'].map(kind => [kind, {fetchPolicy: 'no-cache', errorPolicy: 'all'}])),
  })
  const plainly = ({data, error}) => {
    if (error && !error.errors) throw error
    return {data, errors: error?.errors}
  }
  return {
    ask: async (query, variables) =>
      plainly(await (query.startsWith('mutation') ? c.mutate({mutation: gql(query), variables}) : c.query({query: gql(query), variables}))),
    listen(query, variables, sink) {
      const subscription = c
        .subscribe({query: gql(query), variables, fetchPolicy: 'no-cache', errorPolicy: 'all'})
        .subscribe({next: r => sink.next(plainly(r)), error: e => sink.error?.(e), complete: () => sink.complete?.()})
      return () => subscription.unsubscribe()
    },
    close() {
      c.stop()
      client.dispose()
    },
  }
}

/** A browser's EventSource, that of another maker, which can send a token. It knows nothing of cursors. */
const eventSource = {
  listen(query, variables, sink) {
    const address = `${url}?${new URLSearchParams({query, variables: JSON.stringify(variables ?? {})})}`
    const source = new EventSource(address, {fetch: (to, init) => fetch(to, {...init, headers: {...init.headers, Authorization}})})
    source.addEventListener('next', e => sink.next(JSON.parse(e.data), e.lastEventId))
    source.addEventListener('complete', () => (source.close(), sink.complete?.()))
    source.addEventListener('error', e => e.code && sink.error?.(new Error(`${e.code} ${e.message}`)))
    return () => source.close()
  },
  ask(query) {
    return new Promise((resolve, reject) => {
      let last
      this.listen(query, {}, {next: r => (last = r), error: reject, complete: () => resolve(last)})
    })
  },
  close() {},
}

const ws = () => resuming(overSocket({...socket, ...atOnce}))
const sse = () => resuming(overSSE({url, headers, ...atOnce}))
const clients = {
  'graphql-ws': () => plain(ws()),
  'graphql-sse': () => plain(sse()),
  'urql over graphql-ws': () => urqlOver(ws()),
  'urql over graphql-sse': () => urqlOver(sse()),
  'urql by itself': () => urqlOver(),
  'Apollo over graphql-ws': (client = ws()) => apolloOver(new GraphQLWsLink(client), client),
  'Apollo over graphql-sse': (client = sse()) =>
    apolloOver(new ApolloLink(operation => new Observable(sink => client.subscribe({...operation, query: print(operation.query)}, sink))), client),
  EventSource: () => eventSource,
}
// Does not come back by itself; and when it is left, an AbortError of its own is handled by nobody, so its streams end when they are cut.
const alone = ['urql by itself']

const events = `subscription Events($session: ID, $after: String) {
  insightEvents(sessionId: $session, after: $after) { __typename cursor ... on InsightRevised { insight { title } } }
}`
const whole = {session: SESSION, after: AFTER}
const codes = ({errors}) => errors?.map(e => e.extensions.code)

/** Collects the cursors that come. */
function follow(client, variables = whole) {
  const seen = []
  const waiting = new Set()
  const tell = () => waiting.forEach(check => check())
  const listener = {
    seen,
    ids: [],
    left: client.listen(events, variables, {
      next(result, id) {
        if (result.errors) listener.failed = new Error(JSON.stringify(result.errors))
        else {
          seen.push(result.data.insightEvents.cursor)
          listener.ids.push(id)
        }
        tell()
      },
      error(reason) {
        listener.failed = reason instanceof Error ? reason : new Error(`${reason.code} ${reason.reason ?? reason}`)
        tell()
      },
      complete() {
        listener.failed = new Error('believes that all has been said')
        tell()
      },
    }),
    /** Waits for the nth event. */
    reach: n =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => settle(reject, new Error(`only ${seen.length} of ${n} events came`)), 60_000)
        const settle = (end, value) => {
          clearTimeout(late)
          waiting.delete(check)
          end(value)
        }
        const check = () => (listener.failed ? settle(reject, listener.failed) : seen.length >= n && settle(resolve))
        waiting.add(check)
        check()
      }),
  }
  return listener
}

describe('every client', {concurrency: true}, () => {
  for (const [name, open] of Object.entries(clients)) {
    test(`${name}: queries, mutations, and what is refused`, async () => {
      const client = open()
      const {data} = await client.ask('{ viewer { user { name } } }')
      assert.equal(data.viewer.user.name, 'Ruth Calloway')
      if (client !== eventSource) { // a GET changes nothing
        const changed = await client.ask('mutation { createClient(input: {name: " "}) { userErrors { code } } }')
        assert.equal(changed.data.createClient.userErrors[0].code, 'INVALID')
      }
      if (!/urql|Apollo/.test(name)) { // which parse what they send
        assert.deepEqual(codes(await client.ask('{ viewer {')), ['GRAPHQL_PARSE_FAILED'])
      }
      assert.deepEqual(codes(await client.ask('{ marzipan }')), ['GRAPHQL_VALIDATION_FAILED'])
      client.close()
    })

    test(`${name}: a subscription that is refused`, async () => {
      const client = open()
      const first = await new Promise((next, error) => client.listen('subscription { insightEvents(after: "marzipan") { cursor } }', {}, {next, error, complete() {}}))
      assert.deepEqual(codes(first), ['INVALID'])
      client.close()
    })

    test(`${name}: listening, leaving, and coming back`, async () => {
      const client = open()
      const leave = listener => alone.includes(name) || listener.left()
      const first = follow(client)
      await first.reach(2)
      leave(first)
      const again = follow(client, {session: SESSION, after: first.seen[0]})
      await again.reach(1)
      assert.equal(again.seen[0], first.seen[1])
      if (client === eventSource) assert.deepEqual(first.ids, first.seen)
      leave(again)
      client.close()
    })
  }
})

/** A socket of which `change` sees what the client sends, in place of sending it. */
const misbehaving = change =>
  class extends WebSocket {
    constructor(address, protocols) {
      super(address, change === 'no protocol' ? [] : protocols)
    }
    send(data) {
      if (typeof change === 'function') change(JSON.parse(data), m => super.send(typeof m === 'string' ? m : JSON.stringify(m)))
      else super.send(data)
    }
  }

/** What becomes of a query of a client that behaves so: the code it is told, and how often it has connected. */
async function fate(change, options) {
  let connections = 0
  const client = overSocket({...socket, retryAttempts: 1, retryWait: () => pause(1), ...options, webSocketImpl: misbehaving(change), on: {connecting: () => connections++}})
  const reason = await new Promise((resolve, reject) =>
    client.subscribe({query: events, variables: whole}, {next() {}, error: resolve, complete: () => reject(new Error('complete'))}),
  )
  client.dispose()
  return [reason.code, connections]
}

describe('graphql-ws and the codes with which we close', {concurrency: true}, () => {
  const subscribe = {id: '1', type: 'subscribe', payload: {query: events}}
  const twice = type => (m, send) => (send(m), m.type === type && send(m))
  const cases = {
    '4400, no message of the protocol': [4400, 1, (m, send) => send(m.type === 'subscribe' ? '{"type": "marzipan"}' : m)],
    '4401, subscribe before connection_ack': [4401, 1, (m, send) => send(m.type === 'connection_init' ? subscribe : m)],
    '4403, a bad token': [4403, 2, null, {connectionParams: {Authorization: 'Bearer bad'}}],
    '4406, another protocol': [4406, 1, 'no protocol'],
    '4408, no connection_init': [4408, 2, (m, send) => m.type === 'connection_init' || send(m)],
    '4409, an id that is in use': [4409, 1, twice('subscribe')],
    '4429, a second connection_init': [4429, 1, twice('connection_init')],
  }
  for (const [name, [code, connections, change, options]] of Object.entries(cases)) {
    test(name, async () => assert.deepEqual(await fate(change, options), [code, connections]))
  }

  test('pings of both', async () => {
    const heard = {ping: 0, pong: 0}
    const client = overSocket({
      ...socket,
      keepAlive: 100,
      on: {ping: received => received && heard.ping++, pong: received => received && heard.pong++},
    })
    let left
    await new Promise((resolve, reject) => {
      const enough = setInterval(() => heard.ping >= 3 && heard.pong >= 3 && (clearInterval(enough), resolve()), 20)
      left = client.subscribe({query: events, variables: {session: SESSION}}, {next() {}, error: reject, complete() {}})
    })
    left()
    client.dispose()
  })

  test('a token that expires: the client fetches another one, and goes on', async () => {
    const brief = await control('/token')
    const ends = JSON.parse(Buffer.from(brief.split('.')[1], 'base64url')).exp * 1000
    const tokens = [brief, TOKEN]
    const closed = []
    const client = resuming(
      overSocket({...socket, ...atOnce, connectionParams: () => ({Authorization: `Bearer ${tokens.shift()}`}), on: {closed: e => closed.push([e.code, Date.now() - ends])}}),
    )
    const listener = follow(plain(client))
    await listener.reach(1)
    while (closed.length === 0 || tokens.length > 0) await pause(20)
    const [[code, late]] = closed
    assert.equal(code, 4403)
    assert.ok(late >= 0 && late <= 1000, `closed ${late} ms after the token's end`)
    listener.left()
    assert.equal(new Set(listener.seen).size, listener.seen.length)
    client.dispose()
  })
})

// The insight is revised again and again while connections are cut and both servers are replaced.
test('clients come back, miss nothing, and hear nothing twice', async () => {
  const opened = Object.entries(clients).filter(([name]) => !alone.includes(name)).map(([name, open]) => [name, open()])
  const listeners = opened.map(([name, client]) => [name, follow(client)])
  await Promise.all(listeners.map(([, l]) => l.reach(1)))

  const review = 'mutation ($id: ID!, $title: String) { reviewInsight(input: {insightId: $id, decision: EDIT, title: $title}) { userErrors { code } } }'
  let reviews = 0
  async function revise() {
    const body = JSON.stringify({query: review, variables: {id: INSIGHT, title: `Revision ${++reviews}`}})
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await fetch(url, {method: 'POST', headers: {Authorization, 'Content-Type': 'application/json'}, body})
        assert.deepEqual(await answer.json(), {data: {reviewInsight: {userErrors: []}}})
        return
      } catch (reason) { // the connection was cut
        if (attempt === 20 || reason instanceof assert.AssertionError) throw reason
        await pause(20)
      }
    }
  }
  async function meanwhile(path) {
    let done = false
    const happens = control(path).finally(() => (done = true))
    do await revise()
    while (!done)
    assert.equal(await happens, '')
    for (let i = 0; i < 3; i++) await revise()
  }
  for (const path of ['/cut', '/roll', '/cut']) await meanwhile(path)

  const said = +(await control('/published'))
  await Promise.all(listeners.map(([name, l]) => l.reach(said).catch(e => assert.fail(`${name}: ${e.message}`))))
  await revise() // whatever comes twice has come before this
  await Promise.all(listeners.map(([, l]) => l.reach(said + 1)))
  const undisturbed = follow(clients['graphql-sse']())
  await undisturbed.reach(said + 1)
  for (const [name, {seen, left}] of listeners) {
    assert.deepEqual(seen, undisturbed.seen, name)
    left()
  }
  undisturbed.left()
  for (const [, client] of opened) client.close()
  console.log(`${listeners.length} clients heard the same ${said + 1} events, ${reviews} of them revisions while connections were cut and servers replaced`)
})
