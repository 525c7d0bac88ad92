import { Connect, explain } from './connect.js'
import { byId, formatTime, setText, visible } from './dom.js'
import { Find } from './find.js'
import { Letters } from './letters.js'
import { Live } from './live.js'
import { Refusals } from './refusals.js'
import { Refused } from './refused.js'
import { Session } from './session.js'
import { Stream } from './stream.js'
import { Trace } from './trace.js'

/** @typedef {import('./session.js').DeviceRow} DeviceRow */
/** @typedef {import('./stream.js').Letter} Letter */
/** @typedef {import('./stream.js').Reading} Reading */

const RETRY_MS = 2_000
/** What the list of devices offers; all others are found by name. */
const NEWEST = { sort: 'last_seen', limit: '500' }
/** The worker writes down within a second, at most five, when a device was last seen. */
const LOOK_AGAIN_MS = 3_000

/**
 * The page as a whole: loading -> gate (asks for a token) -> waiting (no reading yet) -> live.
 * The state is one attribute of the body; the style sheet decides what each shows.
 */
class Page {
  #session = new Session({
    given: () => void this.open(),
    ended: (refused) => (refused === undefined ? this.#ask('You have logged out.') : this.#gate(explain(refused))),
  })
  #live = new Live(this.#session)
  #find = new Find(
    (search, limit) => this.#named(search, limit),
    ({ tenant, device }) => this.#live.choose(tenant, device),
  )
  #refusals = new Refusals()
  #connect = new Connect(this.#session, ({ username }) => (this.#expected = username))
  #stream = new Stream(this.#session, {
    opened: () => void this.#opened(),
    lost: (since) => this.#showLost(since),
    answers: () => this.#answers(),
    reading: (reading) => this.#reading(reading),
    letter: (letter, warning) => this.#letter(letter, warning),
    skipped: (records) => this.#live.skipped(records),
  })
  /** The device made on this page and not heard of yet: its first reading is shown whatever else is. */
  #expected = ''

  constructor() {
    new Letters(this.#session)
    new Trace(this.#session)
    byId('gate-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      void this.open(byId('token', HTMLInputElement).value.trim())
    })
    addEventListener('hashchange', () => {
      const key = this.#session.takeKey()
      if (key !== undefined) void this.open(key)
    })
    byId('log-out', HTMLButtonElement).addEventListener('click', () => void this.#logOut())
  }

  /** @param {string | undefined} [typed] */
  async open(typed) {
    const key = typed ?? this.#session.takeKey()
    const asked = key !== undefined || this.#session.isOpen
    try {
      if (key !== undefined) await this.#session.open(key)
      const status = await this.#session.get('/v1/status')
      const { devices } = await this.#session.get('/v1/devices', NEWEST)
      this.#connect.prepare(status, devices)
      this.#find.offer(devices.length)
      this.#list(devices)
      this.#stream.open()
    } catch (error) {
      if (!(error instanceof Refused && error.status < 429)) return this.#unreachable(key)
      this.#gate(asked ? explain(error) : '')
    }
  }

  /**
   * Asks for the key, unless another tab gives its session.
   * @param {string} problem
   */
  #gate(problem) {
    this.#ask(problem)
    this.#session.askTabs()
  }

  async #logOut() {
    const problem = await this.#session.logOut().then(
      () => '',
      () => ' Sluice could not be told: the session ends there within an hour.',
    )
    this.#ask(`You have logged out.${problem}`)
  }

  /**
   * While Sluice cannot be reached, which the page says, none is found.
   * @param {string} search
   * @param {number} limit
   * @returns {Promise<readonly DeviceRow[]>}
   */
  async #named(search, limit) {
    const query = { ...NEWEST, search, limit: String(limit) }
    const answer = await this.#session.get('/v1/devices', query).catch(() => undefined)
    return answer?.devices ?? []
  }

  /** @param {readonly DeviceRow[]} devices those that were seen last first */
  #list(devices) {
    const seen = devices.filter((row) => row.lastSeen !== null)
    this.#live.addDevices(seen)
    const [newest] = seen
    if (newest !== undefined && !this.#live.isShowing) this.#live.choose(newest.tenant, newest.device)
    this.#show(this.#live.isShowing ? 'live' : 'waiting')
    if (!this.#live.isShowing) setTimeout(() => void this.#lookAgain(), LOOK_AGAIN_MS)
  }

  /** A reading that came right before the page was opened is neither live nor listed at once. */
  async #lookAgain() {
    if (document.body.dataset['state'] !== 'waiting') return
    const answer = await this.#session.get('/v1/devices', NEWEST).catch(() => undefined)
    if (document.body.dataset['state'] === 'waiting') this.#list(answer?.devices ?? [])
  }

  /** @param {string} problem */
  #ask(problem) {
    this.#stream.close()
    this.#link('closed', 'Not connected')
    byId('lost', HTMLElement).hidden = true
    this.#show('gate')
    setText(byId('gate-problem', HTMLElement), problem)
    byId('token', HTMLInputElement).focus()
  }

  /** @param {string | undefined} key */
  #unreachable(key) {
    this.#showLost(new Date())
    setTimeout(() => void this.open(key), RETRY_MS)
  }

  async #opened() {
    this.#link('open', 'Live')
    byId('lost', HTMLElement).hidden = true
    void this.#live.reload()
    // What was refused before the page was opened, or while the connection was lost; ids keep repeats out.
    const answer = await this.#session.get('/v1/dead-letters', { limit: '100' }).catch(() => undefined)
    for (const letter of answer?.deadLetters?.reverse() ?? []) this.#letter(letter, letter.kind === 'warning')
  }

  async #answers() {
    try {
      await this.#session.get('/v1/status')
      return true
    } catch {
      // Why is shown already: the connection is lost, or the session has ended.
      return false
    }
  }

  /** @param {Date} since */
  #showLost(since) {
    this.#link('lost', 'Connection lost')
    const bar = byId('lost', HTMLElement)
    setText(bar, `No connection to Sluice since ${formatTime(since.getTime())}. Reconnecting.`)
    bar.hidden = false
  }

  /** @param {Reading} reading */
  #reading(reading) {
    const isExpected = `${reading.tenant}/${reading.device}` === this.#expected
    if (isExpected) {
      this.#expected = ''
      this.#live.choose(reading.tenant, reading.device, reading.stream)
    }
    this.#live.reading(reading)
    if (document.body.dataset['state'] !== 'live') {
      byId('connect', HTMLDetailsElement).open = false
      this.#show('live')
    }
  }

  /**
   * @param {Letter} letter
   * @param {boolean} warning
   */
  #letter(letter, warning) {
    if (!this.#refusals.add(letter, warning) || warning || document.body.dataset['state'] !== 'waiting') return
    setText(
      byId('hint', HTMLElement),
      `A message arrived but was refused: ${visible(letter.code, 60)}. The list says why.`,
    )
  }

  /** @param {'gate' | 'waiting' | 'live'} state */
  #show(state) {
    document.body.dataset['state'] = state
  }

  /**
   * @param {'open' | 'lost' | 'closed'} state
   * @param {string} text
   */
  #link(state, text) {
    byId('link', HTMLElement).dataset['link'] = state
    setText(byId('link-text', HTMLElement), text)
  }
}

void new Page().open()
