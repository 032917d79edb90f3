import {createGraphiQLFetcher} from '@graphiql/toolkit'
import {createClient} from 'graphql-ws'

export const endpoint = '/graphql'

/** Returns a fetch that signs its requests, and signs in anew once if the server refuses the token. */
export function signedFetch(auth, fetch) {
  return async (url, init) => {
    const headers = new Headers(init.headers)
    if (headers.has('authorization')) return fetch(url, init) // set by hand in GraphiQL's headers editor
    const send = authorization => {
      if (authorization) headers.set('authorization', authorization)
      return fetch(url, {...init, headers})
    }
    const authorization = await auth.authorization()
    const response = await send(authorization)
    if (response.status !== 401 || !(await auth.refused(authorization))) return response
    return send(await auth.authorization())
  }
}

/**
 * Returns the page's one WebSocket client: it connects when something listens, and again when the connection drops.
 * While it is connected, `client.connected` is true.
 */
export function createLive(auth, location) {
  let sent = null
  const client = createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${endpoint}`,
    lazy: true,
    connectionParams: async () => {
      sent = await auth.authorization()
      return sent ? {Authorization: sent} : {}
    },
    keepAlive: 15_000,
    retryAttempts: Infinity,
    retryWait: attempt => wait(Math.min(250 * 2 ** attempt, 10_000) * (0.5 + Math.random())),
    // The default gives up when the server is down for a moment. What is forbidden stays so.
    shouldRetry: event => event.code !== 4403,
  })
  client.connected = false
  client.on('connected', () => (client.connected = true))
  client.on('closed', event => {
    client.connected = false
    if (event.code === 4401) auth.refused(sent).catch(() => {}) // the next connection signs in anew
  })
  return client
}

/** Returns GraphiQL's fetcher: HTTP for queries and mutations, the WebSocket for subscriptions. */
export const createFetcher = (fetch, live) => createGraphiQLFetcher({url: endpoint, fetch, wsClient: live})

/**
 * Returns a function that runs an operation of the page's own and returns its data. Whatever is wrong is thrown as an
 * Error that can be shown.
 */
export function createRequest(fetch) {
  return async (query, variables) => {
    let response
    try {
      response = await fetch(endpoint, {
        method: 'POST',
        headers: {'content-type': 'application/json', accept: 'application/graphql-response+json, application/json;q=0.9'},
        body: JSON.stringify({query, variables}),
      })
    } catch (error) {
      throw new Error('The server cannot be reached.', {cause: error})
    }
    const answer = await response.json().catch(() => null)
    if (answer?.errors?.length) throw new Error(answer.errors.map(error => error.message).join('\n'))
    if (!answer?.data) throw new Error(`The server answered ${response.status}.`)
    return answer.data
  }
}

const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
