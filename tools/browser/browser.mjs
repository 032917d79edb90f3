import {chromium} from 'playwright-core'

export const viewport = {width: 1280, height: 800}

/** Opens the system's browser, kept from talking to anybody but the page's server. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), // Chromium refuses to run as root with its sandbox
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-default-apps',
      '--disable-domain-reliability',
      '--disable-sync',
      '--no-first-run',
      '--no-pings',
      '--metrics-recording-only',
    ],
  })
}

/** What becomes of a request whose page was closed meanwhile is of no interest. */
const gone = () => {}

/**
 * Opens the explorer in a fresh profile. The result also has `strangers`, the requests to other origins (they are
 * refused), and `complaints`, what the page wrote to the console as an error or threw.
 */
export async function openExplorer(browser, url, options = {}) {
  const context = await browser.newContext({viewport, colorScheme: 'light', ...options})
  const page = await context.newPage()
  const {host} = new URL(url)
  const strangers = []
  const complaints = []

  const stranger = address => /^(https?|wss?):$/.test(address.protocol) && address.host !== host
  await context.route('**', route => {
    const address = new URL(route.request().url())
    if (!stranger(address)) return route.continue().catch(gone)
    strangers.push(address.href)
    return route.abort().catch(gone)
  })
  page.on('websocket', socket => stranger(new URL(socket.url())) && strangers.push(socket.url()))
  page.on('console', message => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', error => complaints.push(String(error)))

  await page.goto(url)
  await editorsReady(page)
  return {context, page, strangers, complaints}
}

/** Waits until there is something to run. */
export const editorsReady = page => page.locator('.graphiql-query-editor .view-line').first().waitFor()

/** Opens a tab of GraphiQL by its operation's name. */
export async function openTab(page, name) {
  await page.locator('.graphiql-tab-button', {hasText: new RegExp(`^${name}$`)}).click()
  // GraphiQL parses the tab a moment later; until then it would run it under the name of the tab before.
  await page.waitForTimeout(500)
}

/** Runs what is in the open tab; on a running subscription it stops it. */
export const execute = page => page.locator('.graphiql-execute-button').click()

/** The text of the answer as far as the editor shows it. */
export const response = page => page.locator('.graphiql-response .view-lines')
