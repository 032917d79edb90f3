import meDocument from '../operations/panel/me.graphql'
import sessionsDocument from '../operations/panel/sessions.graphql'

const dayMs = 86_400_000

/**
 * Returns a function that loads, page by page and latest first, the sessions that the signed-in person can import into:
 * those they coach, neither archived nor called off, that have begun or do within a day, for people begin early and mark a
 * session held late. It returns `sessions`, those of the page, and `more`, whether there are earlier ones.
 */
export function importableSessions(request, now = Date.now) {
  let coach = null
  let after = null
  const before = new Date(now() + dayMs).toISOString()
  return async () => {
    coach ??= (await request(meDocument)).viewer.user.id
    const {nodes, pageInfo} = (await request(sessionsDocument, {coach, before, after})).sessions
    after = pageInfo.endCursor
    return {sessions: nodes, more: pageInfo.hasNextPage}
  }
}
