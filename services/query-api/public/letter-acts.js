import { explain } from './connect.js'
import { make, setText, visible } from './dom.js'

/** @typedef {import('./session.js').Session} Session */
/** @typedef {{ id: number, state: string, counts: Record<string, number>, progress: string, endedAt: string | null }} Job */
/** @typedef {Record<string, string>} Filter */
/** @typedef {'replay' | 'discard'} Verb */

const POLL_MS = 1_000
/** Points of a dry run that are shown; the API gives a hundred. */
const SHOWN_POINTS = 20

/**
 * Buttons that replay or discard letters: first a dry run, which shows what would be done, then the job with its progress.
 * Nothing is done by the first press.
 */
export class LetterActs {
  #box = make('div', { class: 'acts' })
  #told = make('div', { class: 'told', role: 'status' })
  /** @type {Session} */
  #session
  /** @type {() => Filter} */
  #filter
  /** @type {() => void} */
  #done
  /** Of the newest press: what an earlier one waits for is not shown any more. */
  #turn = 0

  /**
   * @param {Session} session
   * @param {() => Filter} filter which letters, when a button is pressed
   * @param {() => void} done a job has ended
   */
  constructor(session, filter, done) {
    this.#session = session
    this.#filter = filter
    this.#done = done
    const buttons = make('div', { class: 'row' })
    buttons.append(
      button('Try a replay', () => void this.#try('replay')),
      button('Discard …', () => void this.#try('discard')),
    )
    this.#box.append(buttons, this.#told)
  }

  get element() {
    return this.#box
  }

  /** What was told is of other letters than those that are chosen now. */
  clear() {
    this.#turn += 1
    this.#told.replaceChildren()
  }

  /** @param {Verb} verb */
  async #try(verb) {
    const turn = (this.#turn += 1)
    const filter = this.#filter()
    this.#told.replaceChildren(make('p', { class: 'footnote' }, 'Looking what would be done …'))
    try {
      const answer = await this.#session.post(`/v1/dead-letters/${verb}`, { ...filter, dryRun: true })
      if (turn !== this.#turn) return
      const letters = Number(answer.counts?.letters ?? 0)
      const more = answer.complete === false ? ' There are more letters than a dry run looks at.' : ''
      this.#told.replaceChildren(make('p', {}, `Of a dry run: ${countsText(answer.counts)}.${more}`))
      if (Array.isArray(answer.points) && answer.points.length > 0) this.#told.append(pointsTable(answer.points))
      if (letters === 0) return
      const now = button(verb === 'replay' ? 'Replay now' : 'Discard now', () => void this.#begin(verb, filter))
      now.classList.add('primary')
      const leave = button('Leave it', () => this.clear())
      this.#told.append(make('div', { class: 'row' }, now, leave))
      now.focus()
    } catch (error) {
      this.#say(turn, explain(error))
    }
  }

  /**
   * @param {Verb} verb
   * @param {Filter} filter
   */
  async #begin(verb, filter) {
    const turn = (this.#turn += 1)
    try {
      const { job } = await this.#session.post(`/v1/dead-letters/${verb}`, filter)
      await this.#follow(turn, job)
    } catch (error) {
      this.#say(turn, explain(error))
    }
  }

  /**
   * @param {number} turn
   * @param {Job} made
   */
  async #follow(turn, made) {
    const text = make('p', {})
    const stop = button('Stop', () => {
      stop.disabled = true
      void this.#session.post(`/v1/jobs/${made.id}/cancel`, {}).catch((error) => this.#say(turn, explain(error)))
    })
    this.#told.replaceChildren(text, make('div', { class: 'row' }, stop))
    for (let job = made; turn === this.#turn; job = await this.#session.get(`/v1/jobs/${made.id}`)) {
      setText(
        text,
        `Job ${job.id} is ${visible(job.state, 40)}: ${countsText(job.counts)}. ${visible(job.progress, 300)}`,
      )
      if (job.endedAt !== null) {
        stop.remove()
        this.#done()
        return
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  /**
   * @param {number} turn
   * @param {string} problem
   */
  #say(turn, problem) {
    if (turn === this.#turn) this.#told.replaceChildren(make('p', { class: 'problem' }, problem))
  }
}

/**
 * @param {string} label
 * @param {() => void} pressed
 */
function button(label, pressed) {
  const made = make('button', { type: 'button' }, label)
  made.addEventListener('click', pressed)
  return made
}

/** @param {Record<string, number> | undefined} counts */
function countsText(counts = {}) {
  const texts = Object.entries(counts).map(([name, count]) => `${visible(name, 40)} ${Number(count)}`)
  return texts.length === 0 ? 'nothing yet' : texts.join(', ')
}

/** @param {readonly Record<string, unknown>[]} points */
function pointsTable(points) {
  const head = ['Device and stream', 'Field', 'Time', 'Stored now', 'Replayed', 'Outcome']
  const rows = points.slice(0, SHOWN_POINTS).map((point) => {
    const place = `${point['tenant']}/${point['device']} ${point['stream']}`
    const stored = point['stored'] === null ? 'nothing' : JSON.stringify(point['stored'])
    const texts = [place, point['field'], point['time'], stored, JSON.stringify(point['value']), point['outcome']]
    return make('tr', {}, ...texts.map((text) => make('td', {}, visible(String(text), 160))))
  })
  const table = make(
    'table',
    {},
    make('caption', { class: 'quiet' }, 'Points of a dry run'),
    make('thead', {}, make('tr', {}, ...head.map((text) => make('th', { scope: 'col' }, text)))),
    make('tbody', {}, ...rows),
  )
  return make('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Points of a dry run' }, table)
}
