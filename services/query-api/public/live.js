import { Charts } from './charts.js'
import { ChosenStream } from './chosen-stream.js'
import { explain } from './connect.js'
import { ago, byId, formatTime, make, setText, visible } from './dom.js'
import { Heard } from './heard.js'
import { Choices } from './choices.js'
import { Rate } from './series.js'
import { looksLikeUnusedTime } from './unused-time.js'

/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./session.js').DeviceRow} DeviceRow */
/** @typedef {import('./stream.js').Reading} Reading */

/** Drawing more often than this shows nothing more and costs battery. */
const DRAW_MS = 200
const HOUR_RENEW_MS = 10_000

const whole = new Intl.NumberFormat()
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 })

/** @type {Readonly<Record<string, string>>} */
const TYPE_NAMES = { float: 'number', integer: 'integer', string: 'text', boolean: 'boolean', number: 'number' }

/** The part of the page that shows readings: chart, latest values, count and rate. */
export class Live {
  /** @type {Session} */
  #session
  #charts = new Charts()
  #rate = new Rate()
  #count = 0
  #skipped = 0
  #problem = ''
  /** @type {ChosenStream | undefined} */
  #chosen
  #drawing = 0
  #hourLoaded = 0
  /** The hour is shown because the last minutes were empty, not because somebody asked for it. */
  #isHourOurs = false
  #choices
  #heard
  /** @type {Map<string, HTMLTableRowElement>} */
  #rows = new Map()

  /** @param {Session} session */
  constructor(session) {
    this.#session = session
    this.#heard = new Heard(session)
    this.#choices = new Choices({
      stream: (tenant, device, stream) => this.choose(tenant, device, stream),
      range: () => {
        this.#isHourOurs = false
        void this.#renewHour(true)
      },
    })
    setInterval(() => this.#tick(), 1_000)
    document.addEventListener('visibilitychange', () => this.#draw())
  }

  /** True when a device is being shown. */
  get isShowing() {
    return this.#chosen !== undefined
  }

  /** @param {readonly DeviceRow[]} devices those that have sent something, the latest first */
  addDevices(devices) {
    for (const { tenant, device } of devices) this.#choices.add(tenant, device, undefined)
  }

  /** @param {Reading} reading */
  reading(reading) {
    this.#count += 1
    this.#rate.add(Date.now())
    this.#choices.add(reading.tenant, reading.device, reading.stream)
    if (this.#chosen === undefined) this.choose(reading.tenant, reading.device, reading.stream)
    if (!this.#chosen?.take(reading)) return
    if (this.#isHourOurs) this.#showRange('live', false)
    this.#schedule()
  }

  /** @param {number} records that went by unseen */
  skipped(records) {
    this.#skipped += records
  }

  /**
   * @param {string} tenant
   * @param {string} device
   * @param {string} [stream] undefined: the one written last
   */
  choose(tenant, device, stream) {
    this.#chosen = new ChosenStream(this.#session, tenant, device, stream)
    if (this.#isHourOurs) this.#showRange('live', false)
    this.#charts.clear()
    this.#rows.clear()
    byId('latest', HTMLTableElement).tBodies[0].replaceChildren()
    this.#choices.add(tenant, device, stream)
    this.#choices.show(tenant, device, stream)
    this.#heard.choose(tenant, device)
    void this.reload()
  }

  /** Loads the stored past of what is shown, at a choice and after a lost connection. */
  async reload() {
    const chosen = this.#chosen
    if (chosen === undefined) return
    try {
      await chosen.load()
      this.#problem = ''
    } catch (error) {
      this.#problem = `Earlier readings could not be loaded: ${explain(error)}`
    }
    if (chosen !== this.#chosen) return
    for (const stream of chosen.streams) this.#choices.add(chosen.tenant, chosen.device, stream)
    this.#choices.show(chosen.tenant, chosen.device, chosen.stream)
    if (chosen.isQuiet && this.#choices.range === 'live') this.#showRange('hour', true)
    await this.#renewHour(true)
    this.#schedule()
  }

  /**
   * @param {'live' | 'hour'} range
   * @param {boolean} isOurs
   */
  #showRange(range, isOurs) {
    this.#choices.range = range
    this.#isHourOurs = isOurs
  }

  /** @param {boolean} atOnce */
  async #renewHour(atOnce) {
    const chosen = this.#chosen
    if (chosen === undefined || this.#choices.range !== 'hour') return this.#schedule()
    if (!atOnce && Date.now() - this.#hourLoaded < HOUR_RENEW_MS) return
    this.#hourLoaded = Date.now()
    try {
      await chosen.loadHour()
      this.#problem = ''
    } catch (error) {
      this.#problem = `The last hour could not be loaded: ${explain(error)}`
    }
    this.#schedule()
  }

  #tick() {
    if (document.hidden || this.#chosen === undefined) return
    void this.#renewHour(false)
    this.#heard.tick()
    this.#figures()
  }

  #schedule() {
    if (this.#drawing !== 0) return
    this.#drawing = setTimeout(() => {
      this.#drawing = 0
      this.#draw()
    }, DRAW_MS)
  }

  #draw() {
    const chosen = this.#chosen
    if (chosen === undefined || document.hidden) return
    const now = Date.now()
    for (const series of chosen.series.values()) series.prune(now)
    const live = new Map([...chosen.series].map(([field, series]) => [field, series.points]))
    const hidden = this.#charts.draw(this.#choices.range === 'hour' ? chosen.hour : live, now)
    this.#note(hidden.size)
    this.#table(chosen, hidden)
    this.#figures()
  }

  #figures() {
    const now = Date.now()
    setText(byId('count', HTMLElement), whole.format(this.#count))
    setText(byId('rate', HTMLElement), tenth.format(this.#rate.read(now)))
    setText(byId('last', HTMLElement), ago(now - (this.#chosen?.lastSeen ?? Number.NaN)))
  }

  /** @param {number} hidden fields without a chart */
  #note(hidden) {
    const parts = [
      this.#choices.range === 'hour' ? 'The last value of every 5 seconds.' : 'The last 5 minutes, up to 1,000 points.',
      hidden > 0 ? `${hidden} more numeric fields: choose them in the table.` : '',
      this.#skipped > 0 ? `${whole.format(this.#skipped)} readings were skipped: too fast for this page.` : '',
      this.#problem,
    ]
    setText(byId('chart-note', HTMLElement), parts.filter(Boolean).join(' '))
  }

  /**
   * @param {ChosenStream} chosen
   * @param {ReadonlySet<string>} hidden fields that could have a chart
   */
  #table(chosen, hidden) {
    const body = byId('latest', HTMLTableElement).tBodies[0]
    for (const [field, { value, type, time, lastNumber }] of chosen.latest) {
      let row = this.#rows.get(field)
      if (row === undefined) {
        const name = make('th', { scope: 'row' }, make('span'), this.#chartButton(field))
        row = make('tr', {}, name, make('td', { class: 'value' }), make('td'), make('td'))
        this.#rows.set(field, row)
        body.append(row)
      }
      const [choice] = row.getElementsByTagName('button')
      choice.hidden = !hidden.has(field)
      const { unit, name } = chosen.declared.get(field) ?? {}
      const [label] = row.getElementsByTagName('span')
      setText(label, visible(field, 200) + (name === undefined ? '' : ` (${visible(name, 256)})`))
      const before = lastNumber ? ` (last number ${lastNumber.value}, ${formatTime(lastNumber.time)})` : ''
      const measured = unit === undefined || typeof value === 'boolean' ? '' : ` ${visible(unit, 64)}`
      setText(row.cells[1], `${visible(String(value), 300)}${measured}${before}`)
      const hint = looksLikeUnusedTime(value, time) ? ' (a time? see the policy time_keys)' : ''
      setText(row.cells[2], (TYPE_NAMES[type] ?? visible(type, 20)) + hint)
      setText(row.cells[3], formatTime(time))
    }
  }

  /** @param {string} field */
  #chartButton(field) {
    const button = make(
      'button',
      { type: 'button', class: 'copy', 'aria-label': `Chart of ${visible(field, 200)}` },
      'Chart',
    )
    button.addEventListener('click', () => {
      this.#charts.want(field)
      this.#schedule()
    })
    return button
  }
}
