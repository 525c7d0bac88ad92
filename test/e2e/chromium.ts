import { existsSync } from 'node:fs'
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import { expect, onTestFinished, type TestContext } from 'vitest'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Headless, without a sandbox (containers have none), and silent on the network but for the page itself. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface Visit {
  readonly page: Page
  /** Faults that the test provokes. All others fail it at its end. */
  tolerate(pattern: RegExp): void
}

/** Skips the test, saying how to enable it, where no Chromium is installed. */
export function needChromium(context: TestContext): void {
  context.skip(findChromium() === undefined, 'no Chromium; enable with: apt-get install chromium')
}

/**
 * A new page of a browser of its own, closed at the end of the test, which then fails on any fault: a console error or
 * warning, a thrown error, a violation of the policy, a request to another host.
 */
export async function openPage(origin: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const executablePath = findChromium()
  if (executablePath === undefined) throw new Error('Chromium is not installed')
  const browser = await chromium.launch({ executablePath, args: FLAGS })
  const faults: string[] = []
  const tolerated: RegExp[] = []
  onTestFinished(async () => {
    await browser.close()
    expect(faults.filter((fault) => !tolerated.some((pattern) => pattern.test(fault)))).toEqual([])
  })
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin })
  const page = await context.newPage()
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.origin !== origin) faults.push(`request to ${url.href}`)
  })
  await page.addInitScript({ content: reportViolations })
  return { page, tolerate: (pattern) => tolerated.push(pattern) }
}

// Runs in the page, before its own scripts.
const reportViolations = `addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
  console.error('policy: ' + violatedDirective + ' ' + blockedURI + ' ' + sourceFile)
})`

function findChromium(): string | undefined {
  return PLACES.find((path) => existsSync(path))
}
