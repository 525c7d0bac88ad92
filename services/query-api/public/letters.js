import { explain } from './connect.js'
import { byId, formatTime, make, setText, visible } from './dom.js'
import { LetterActs } from './letter-acts.js'
import { letterItem } from './letter-view.js'

/** @typedef {import('./session.js').Session} Session */

const PAGE = '50'

/** What could not be stored: chosen by cause, device and time, opened one by one, replayed and discarded. */
export class Letters {
  #view = byId('letters', HTMLDetailsElement)
  #list = byId('letters-list', HTMLElement)
  #code = byId('letters-code', HTMLSelectElement)
  #more = byId('letters-more', HTMLButtonElement)
  /** @type {Session} */
  #session
  #acts
  /** What is shown: the letters that were chosen last, not what the form says since. @type {Record<string, string>} */
  #filter = {}
  /** @type {string | undefined} */
  #next
  #turn = 0

  /** @param {Session} session */
  constructor(session) {
    this.#session = session
    this.#acts = new LetterActs(
      session,
      () => this.#filter,
      () => void this.#load(),
    )
    byId('letters-acts', HTMLElement).append(this.#acts.element)
    this.#view.addEventListener('toggle', () => {
      if (this.#view.open && this.#turn === 0) this.#choose()
    })
    byId('letters-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      this.#choose()
    })
    this.#more.addEventListener('click', () => void this.#page(this.#turn))
  }

  #choose() {
    const [tenant = '', ...device] = byId('letters-who', HTMLInputElement).value.trim().split('/')
    const entries = Object.entries({
      code: this.#code.value,
      tenant,
      device: device.join('/'),
      from: moment(byId('letters-from', HTMLInputElement).value),
      to: moment(byId('letters-to', HTMLInputElement).value),
    })
    this.#filter = Object.fromEntries(entries.filter(([, value]) => value !== ''))
    this.#acts.clear()
    void this.#load()
  }

  async #load() {
    const turn = (this.#turn += 1)
    setText(byId('letters-problem', HTMLElement), '')
    this.#next = undefined
    this.#list.replaceChildren()
    try {
      const stats = await this.#session.get('/v1/dead-letters/stats', this.#filter)
      if (turn !== this.#turn) return
      this.#sum(stats)
      await this.#page(turn)
    } catch (error) {
      if (turn === this.#turn) setText(byId('letters-problem', HTMLElement), explain(error))
    }
  }

  /** @param {any} stats as the API answers */
  #sum(stats) {
    const states = Object.entries(stats.states ?? {}).map(([state, count]) => `${visible(state, 40)} ${Number(count)}`)
    const span = `${formatTime(Date.parse(stats.first))} to ${formatTime(Date.parse(stats.last))}`
    const more = stats.complete === false ? ' There are more than are counted.' : ''
    const text =
      stats.letters === 0 ? 'No dead letters.' : `${stats.letters} letters, ${span}: ${states.join(', ')}.${more}`
    setText(byId('letters-sum', HTMLElement), text)
    byId('letters-acts', HTMLElement).hidden = stats.letters === 0
    this.#offer(stats.codes ?? [])
  }

  /**
   * The causes that there are, with how many; all that were offered before stay.
   * @param {readonly { code: string, letters: number }[]} codes
   */
  #offer(codes) {
    const known = new Map([...this.#code.options].map((option) => [option.value, option]))
    for (const { code, letters } of codes) {
      const option = known.get(code) ?? make('option', { value: code })
      setText(option, `${visible(code, 80)} (${letters})`)
      if (option.parentNode === null) this.#code.append(option)
    }
  }

  /** @param {number} turn */
  async #page(turn) {
    this.#more.disabled = true
    const query = { ...this.#filter, limit: PAGE, ...(this.#next === undefined ? {} : { cursor: this.#next }) }
    try {
      const answer = await this.#session.get('/v1/dead-letters', query)
      if (turn !== this.#turn) return
      const done = () => this.#acts.clear()
      this.#list.append(...answer.deadLetters.map((/** @type {any} */ one) => letterItem(this.#session, one, done)))
      this.#next = answer.next ?? undefined
      this.#more.hidden = this.#next === undefined
    } catch (error) {
      if (turn === this.#turn) setText(byId('letters-problem', HTMLElement), explain(error))
    } finally {
      this.#more.disabled = false
    }
  }
}

/**
 * Milliseconds of what a person chose in local time; empty for nothing.
 * @param {string} value
 */
function moment(value) {
  const ms = new Date(value).getTime()
  return Number.isFinite(ms) ? String(ms) : ''
}
