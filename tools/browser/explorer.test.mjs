// Checks the explorer page against a running server: RAPPORT_URL=http://localhost:8080/ npm test
//
// The server must be one for development with the demo organization. The checks import transcripts into it.

import assert from 'node:assert/strict'
import {after, before, test} from 'node:test'

import {editorsReady, execute, launch, openExplorer, openTab, response} from './browser.mjs'

const url = process.env.RAPPORT_URL
if (!url) throw new Error('RAPPORT_URL says which server to check, for example http://localhost:8080/')

let browser
before(async () => {
  browser = await launch()
})
after(() => browser?.close())

/** A conversation with a commitment in it. The server knows a file again by its content, so each is made anew. */
function transcript(name) {
  const cue = (from, to, words) => `00:00:${from}.000 --> 00:00:${to}.000\n${words}\n`
  return {
    name,
    mimeType: 'text/vtt',
    buffer: Buffer.from(
      [
        `WEBVTT\n\nNOTE ${new Date().toISOString()} ${Math.random()}\n`,
        cue('01', '05', 'Ruth Calloway: What would you like to take away from today?'),
        cue('06', '13', 'Amara Okafor: I keep rewriting what my team hands in. I really want to stop doing that.'),
        cue('15', '18', 'Ruth Calloway: So part of you wants to let go. What will you do differently this week?'),
        cue('21', '30', 'Amara Okafor: By Friday I will give the board paper to Tomasz, and I will not touch it.'),
      ].join('\n'),
    ),
  }
}

const panel = page => page.getByRole('complementary', {name: 'Import a transcript'})

async function chooseSession(page) {
  const select = panel(page).getByLabel('Session')
  await select.locator('option').nth(1).waitFor({state: 'attached'})
  await select.selectOption({index: 1})
}

async function importFile(page, file) {
  await panel(page).locator('input[type=file]').setInputFiles(file)
  await panel(page).getByRole('button', {name: 'Import', exact: true}).click()
}

/** Drops a file as a mouse does: Playwright has no gesture for it. */
async function drop(page, {name, mimeType, buffer}) {
  const transfer = await page.evaluateHandle(
    ([name, type, text]) => {
      const transfer = new DataTransfer()
      transfer.items.add(new File([text], name, {type}))
      return transfer
    },
    [name, mimeType, buffer.toString()],
  )
  await panel(page).locator('.drop').dispatchEvent('drop', {dataTransfer: transfer})
}

/** Asks the server as the demo coach. */
async function ask(query, variables) {
  const send = async (path, headers, body) => {
    const response = await fetch(new URL(path, url), {
      method: 'POST',
      headers: {'content-type': 'application/json', ...headers},
      body: JSON.stringify(body),
    })
    return response.json()
  }
  const {token} = await send('/dev/login', {}, {email: 'coach@harbor.example'})
  const {data, errors} = await send('/graphql', {authorization: `Bearer ${token}`}, {query, variables})
  assert.equal(errors, undefined, JSON.stringify(errors))
  return data
}

/** Runs a check in a fresh profile, and finds nothing to complain about in the end. */
function check(name, body, path = '') {
  test(name, {timeout: 90_000}, async () => {
    const {context, page, strangers, complaints} = await openExplorer(browser, new URL(path, url).href)
    try {
      await body(page)
      assert.deepEqual(strangers, [], 'requests to other origins')
      assert.deepEqual(complaints, [], 'errors on the console')
    } finally {
      await context.close()
    }
  })
}

check('signs in as the demo coach and runs the first tab', async page => {
  assert.equal(await page.getByLabel('Signed in as').inputValue(), 'coach@harbor.example')
  await execute(page)
  await response(page).getByText('"today"').waitFor()
  const text = await response(page).innerText()
  assert.match(text, /"nodes"/)
  assert.doesNotMatch(text, /"errors"/)
})

check('the examples name things that exist', async page => {
  for (const [tab, field] of [['ClientPage', '"client"'], ['ClientBrief', '"nextSession"'], ['Session', '"session"'], ['Programme', '"held"'], ['Settings', '"viewer"'], ['ImportTranscript', '"importTranscript"'], ['ReviewInsight', '"reviewInsight"']]) {
    await openTab(page, tab)
    await execute(page)
    await response(page).getByText(field).waitFor()
    const text = await response(page).innerText()
    assert.doesNotMatch(text, /"errors"/, tab)
    assert.doesNotMatch(text, /"userErrors": \[\s*\{/, tab)
  }
})

check('the schema explorer opens', async page => {
  await page.getByRole('button', {name: /GraphiQL Explorer/}).click()
  await page.locator('.graphiql-explorer-root').getByText('sessions', {exact: true}).first().waitFor()
})

check('documentation comes from the server', async page => {
  await page.getByRole('button', {name: /Documentation Explorer/}).click()
  await page.locator('.graphiql-doc-explorer').getByText('Query', {exact: true}).waitFor()
})

check('a dropped file is imported; its insights reach the panel and the subscription tab', async page => {
  await openTab(page, 'InsightEvents')
  const subscribed = new Promise(resolve =>
    page.on('websocket', socket =>
      socket.on('framesent', ({payload}) => String(payload).includes('insightEvents') && resolve()),
    ),
  )
  await execute(page)
  await subscribed

  await chooseSession(page)
  await drop(page, transcript('week.vtt'))
  await panel(page).getByText('week.vtt').waitFor()
  await panel(page).getByRole('button', {name: 'Import', exact: true}).click()

  await panel(page).getByRole('heading', {name: /^Transcript \d+/}).waitFor()
  await panel(page).getByText('4 utterances').waitFor()
  const insight = panel(page).locator('.insight').first()
  await insight.waitFor({timeout: 30_000})
  assert.match(await insight.locator('blockquote').innerText(), /^\d\d:\d\d\s+“.+”$/s)
  await response(page).getByText('"insightEvents"').waitFor()
})

check('the panel offers the sessions that can have a transcript, latest first', async page => {
  const offered = async () => (await panel(page).getByLabel('Session').locator('option').all()).length - 1 // one asks to choose
  const {sessions, engagements} = await ask(`{
    sessions(first: 100, filter: {includeArchived: true}) { nodes { id status startsAt archivedAt } }
    engagements(first: 1, filter: {statuses: [ACTIVE]}) { nodes { id } }
  }`)
  const soon = new Date(Date.now() + 86_400_000)
  const expected = sessions.nodes
    .filter(({status, archivedAt}) => !archivedAt && !['CANCELLED', 'NO_SHOW'].includes(status))
    .filter(({startsAt}) => new Date(startsAt) < soon)
    .map(({id}) => id)
  assert.ok(expected.length < sessions.nodes.length - 2, 'there is nothing to leave out')
  const select = panel(page).getByLabel('Session')
  await select.locator('option').nth(1).waitFor({state: 'attached'})
  assert.deepEqual(await select.locator('option:not([disabled])').evaluateAll(all => all.map(each => each.value)), expected)
  assert.equal(await panel(page).getByRole('button', {name: /earlier sessions/}).count(), 0)

  // More than fit come when they are asked for.
  const day = n => new Date(Date.UTC(1990, 0, 1 + n, 12)).toISOString()
  const many = Array.from({length: 60}, (_, n) => `s${n}: createSession(input: {engagementId: $e, startsAt: "${day(n)}"}) { session { id } }`)
  const made = await ask(`mutation ($e: ID!) { ${many.join(' ')} }`, {e: engagements.nodes[0].id})
  await page.reload()
  await select.locator('option').nth(50).waitFor({state: 'attached'})
  assert.equal(await offered(), 50)
  await panel(page).getByRole('button', {name: 'List earlier sessions, too'}).click()
  await select.locator('option').nth(51).waitFor({state: 'attached'})
  assert.equal(await offered(), expected.length + 60)
  assert.match(await select.locator('option').last().innerText(), / · Jan 1, 1990 · /)
  assert.equal(await panel(page).getByRole('button', {name: /earlier sessions/}).count(), 0)

  await page.getByLabel('Signed in as').selectOption('supervisor@harbor.example')
  await panel(page).getByText('This person coaches no session that has begun').waitFor()

  const put = Object.values(made).map(({session}, n) => `s${n}: archiveSession(input: {id: "${session.id}"}) { session { id } }`)
  await ask(`mutation { ${put.join(' ')} }`) // the checks can be run again
})

check('the oddities of a broken file are shown with line and assumption', async page => {
  const broken = transcript('odd.vtt')
  broken.buffer = Buffer.concat([broken.buffer, Buffer.from('\n00:00:4x.000 --> 00:00:50.000\nRuth Calloway: Hm.\n')])
  await chooseSession(page)
  await importFile(page, broken)
  const warnings = panel(page).locator('.warnings')
  await warnings.waitFor()
  assert.match(await warnings.innerText(), /line \d+[\s\S]*Assumed: /)
})

check('a file without words is refused with the reason', async page => {
  await chooseSession(page)
  await importFile(page, {name: 'nothing.vtt', mimeType: 'text/vtt', buffer: Buffer.from('WEBVTT\n\n')})
  await panel(page).locator('.outcome .notice.error').waitFor()
})

check('a file that is too large or no transcript is refused before it is sent', async page => {
  let imports = 0
  page.on('request', request => request.postData()?.includes('mutation') && imports++)
  await chooseSession(page)
  const choose = file => panel(page).locator('input[type=file]').setInputFiles(file)
  await choose({name: 'long.txt', mimeType: 'text/plain', buffer: Buffer.alloc(1.3 * 2 ** 20, 'a')})
  await panel(page).getByText('At most 1 MB can be sent at once.').waitFor()
  assert.ok(await panel(page).getByRole('button', {name: 'Import', exact: true}).isDisabled())
  await choose({name: 'talk.mp3', mimeType: 'audio/mpeg', buffer: Buffer.from('x')})
  await panel(page).getByText('talk.mp3 is not a transcript file.').waitFor()
  assert.equal(imports, 0)
})

check('the panel works from the keyboard', async page => {
  const toggle = page.getByRole('button', {name: 'Import a transcript'})
  await toggle.press('Enter')
  await panel(page).waitFor({state: 'hidden'})
  await toggle.press('Enter')
  await panel(page).waitFor()
  await panel(page).getByRole('button', {name: 'Paste the text instead'}).press('Enter')
  await chooseSession(page)
  await panel(page).getByLabel('Transcript', {exact: true}).fill(`Ruth: How was it? ${Math.random()}\nAmara: I will call Tomasz on Monday.`)
  await panel(page).getByRole('button', {name: 'Import', exact: true}).press('Enter')
  await panel(page).getByRole('heading', {name: /^Transcript \d+/}).waitFor()
})

check(
  'somebody else can be signed in',
  async page => {
    await page.getByLabel('Signed in as').selectOption('coach2@harbor.example')
    await execute(page)
    await response(page).getByText('"Daniel Ferreira"').waitFor()
    await page.reload() // and stays so
    await editorsReady(page)
    await execute(page)
    await response(page).getByText('"Daniel Ferreira"').waitFor()
  },
  '/?query=' + encodeURIComponent('query Me { viewer { user { name } } }'),
)

check(
  'a link brings its query, and no token stands in an address',
  async page => {
    await page.locator('.graphiql-query-editor').getByText('organization').waitFor()
    await execute(page)
    await response(page).getByText('"Harbor Coaching"').waitFor()
    assert.doesNotMatch(page.url(), /token|bearer/i)
  },
  '/?query=' + encodeURIComponent('query Linked { viewer { organization { name } } }'),
)

check('an EventSource, which knows no other end than an event, hears that all has been said', async page => {
  const heard = await page.evaluate(
    () =>
      new Promise(resolve => {
        const heard = []
        const source = new EventSource('/graphql?query=' + encodeURIComponent('{ __schema { queryType { name } } }'))
        source.addEventListener('next', event => heard.push(JSON.parse(event.data)))
        source.addEventListener('complete', () => {
          source.close()
          resolve(heard)
        })
      }),
  )
  assert.deepEqual(heard, [{data: {__schema: {queryType: {name: 'Query'}}}}])
})
