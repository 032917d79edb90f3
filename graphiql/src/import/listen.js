import eventsDocument from '../operations/panel/events.graphql'

/**
 * Listens to a session's insight events, over dropped connections. `onGap` is called when events were missed for good,
 * `onState` with 'listening', 'reconnecting' or 'lost'. Returns `ready`, a promise that the server has been asked, and
 * `stop`.
 */
export function listen({live, sessionId, onEvent, onState, onGap}) {
  const variables = {sessionId}
  let unsubscribe
  let stopped = false
  let asked
  const ready = new Promise(resolve => (asked = resolve))

  function subscribe() {
    // graphql-ws sends this very object again after a drop, so that the cursor of the last event goes with it.
    const operation = {query: eventsDocument, variables}
    unsubscribe = live.subscribe(operation, {
      next({data, errors}) {
        if (errors) return failed(errors)
        variables.after = data.insightEvents.cursor
        onEvent(data.insightEvents)
      },
      error: failed,
      complete: () => stopped || onState('lost'),
    })
  }

  function failed(reason) {
    if (stopped) return
    if (Array.isArray(reason) && reason.some(error => error.extensions?.code === 'RESUME_WINDOW_LOST')) {
      delete variables.after
      subscribe()
      onGap()
    } else {
      onState('lost')
    }
  }

  function connected() {
    onState('listening')
    setTimeout(asked) // the operation is written right after the connection is acknowledged
  }

  const unlisten = [live.on('connected', connected), live.on('closed', () => stopped || onState('reconnecting'))]
  subscribe()
  if (live.connected) connected()

  return {
    ready,
    stop() {
      stopped = true
      unlisten.forEach(each => each())
      unsubscribe()
    },
  }
}
