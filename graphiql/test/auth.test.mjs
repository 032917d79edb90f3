import assert from 'node:assert/strict'
import {test} from 'node:test'

import {createAuth} from '../src/auth.js'

const people = [
  {email: 'owner@harbor.example', name: 'Helen', roles: ['OWNER'], organization: 'harbor'},
  {email: 'coach@harbor.example', name: 'Ruth', roles: ['COACH'], organization: 'harbor'},
]

/** An auth over a server that hands out tokens "who-1", "who-2" … valid for an hour. */
function setup({development = true, login = () => {}} = {}) {
  const clock = {now: 1_000_000}
  const kept = new Map()
  let tokens = 0
  const answer = (status, body) => ({ok: status < 400, status, json: async () => body})
  async function fetch(path, init) {
    if (path === '/dev/people') return development ? answer(200, people) : answer(404, null)
    const {email} = JSON.parse(init.body)
    const problem = login(email)
    if (problem) return answer(503, {errors: [{message: problem}]})
    const expiresAt = new Date(clock.now + 3_600_000).toISOString()
    return answer(200, {token: `${email.split('@')[0]}-${++tokens}`, expiresAt})
  }
  const storage = {
    getItem: key => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: key => kept.delete(key),
  }
  return {auth: createAuth({fetch, storage, now: () => clock.now}), clock, kept, issued: () => tokens}
}

test('signs in as the demo coach, once for all who ask', async () => {
  const {auth, issued} = setup()
  const all = await Promise.all([auth.authorization(), auth.authorization(), auth.authorization()])
  assert.deepEqual(all, Array(3).fill('Bearer coach-1'))
  assert.equal(issued(), 1)
  assert.equal(auth.state().email, 'coach@harbor.example')
})

test('renews a token before it expires', async () => {
  const {auth, clock} = setup()
  await auth.authorization()
  clock.now += 3_560_000
  assert.equal(await auth.authorization(), 'Bearer coach-1')
  clock.now += 20_000
  assert.equal(await auth.authorization(), 'Bearer coach-2')
})

test('renews a token that was refused, but not a newer one', async () => {
  const {auth} = setup()
  const old = await auth.authorization()
  assert.equal(await auth.refused(old), true)
  assert.equal(await auth.authorization(), 'Bearer coach-2')
  assert.equal(await auth.refused(old), false)
  assert.equal(await auth.authorization(), 'Bearer coach-2')
})

test('becomes somebody else and remembers who, without the token', async () => {
  const {auth, kept} = setup()
  await auth.authorization()
  auth.choose('owner@harbor.example')
  assert.equal(await auth.authorization(), 'Bearer owner-2')
  assert.deepEqual([...kept.values()], ['owner@harbor.example'])
})

test('says why signing in failed, and tries again', async () => {
  let problem = 'the directory cannot be asked now'
  const {auth} = setup({login: () => problem})
  await assert.rejects(auth.authorization())
  assert.match(auth.state().error, /directory cannot be asked/)
  problem = null
  assert.equal(await auth.authorization(), 'Bearer coach-1')
  assert.equal(auth.state().error, null)
})

test('takes a pasted token outside development', async () => {
  const {auth} = setup({development: false})
  assert.equal(await auth.authorization(), null)
  assert.equal(auth.state().mode, 'token')
  auth.paste('  Bearer abc ')
  assert.equal(await auth.authorization(), 'Bearer abc')
  assert.equal(await auth.refused('Bearer abc'), false) // there is no other
  auth.paste('')
  assert.equal(await auth.authorization(), null)
})
