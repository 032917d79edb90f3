// node screenshot.mjs URL OUT.png [light|dark]: runs the Dashboard tab as the demo coach and takes a picture of it.

import {execute, launch, openExplorer, openTab, response} from './browser.mjs'

const [url, out, colorScheme = 'light'] = process.argv.slice(2)
if (!out) {
  console.error('usage: node screenshot.mjs URL OUT.png [light|dark]')
  process.exit(2)
}

const browser = await launch()
try {
  const {page} = await openExplorer(browser, url, {colorScheme, viewport: {width: 1440, height: 860}}) // the query's lines are whole
  await openTab(page, 'Dashboard')
  await page.getByRole('button', {name: 'Hide editor tools'}).click() // it has no variables
  await execute(page)
  await response(page).getByText('"sessions"').waitFor()
  await page.mouse.move(0, 0) // no tooltip in the picture
  await page.evaluate(() => document.fonts.ready)
  await page.waitForTimeout(500) // the answer is coloured a moment after it is there
  await page.screenshot({path: out})
} finally {
  await browser.close()
}
