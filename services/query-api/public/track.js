import uPlot from '/vendor/uplot/uPlot.esm.js'
import { formatTime, make, setText, visible } from './dom.js'

/** @typedef {import('./series.js').Point} Point */

/** Charted fields; the others are in the table. */
export const MAX_TRACKS = 6

const HEIGHTS = [260, 170, 130]
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 2 })
const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 })
const rounded = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 })
const hourMinute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const hourMinuteSecond = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const monthDay = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })
const yearMonth = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short' })

/**
 * One numeric field as a chart of its own: fields differ in unit and size, on one scale all but the largest are flat.
 */
export class Track {
  /** @type {Point[]} */
  #points = []
  #name
  #value = make('span', { class: 'track-value' })
  #aside = make('span', { class: 'track-aside' })
  #plot = make('div', { class: 'plot', role: 'img' })
  /** @type {uPlot | undefined} */
  #chart
  #from = 0
  #to = 1
  #height = HEIGHTS[0]

  /**
   * @param {string} field
   * @param {number} index which of the colours
   */
  constructor(field, index) {
    this.#name = visible(field, 60)
    this.colour = index
    const head = make('figcaption', {}, make('span', { class: `track-name colour-${index}` }, this.#name))
    head.append(this.#value, this.#aside)
    this.element = make('figure', { class: 'track' }, head, this.#plot)
  }

  /**
   * @param {readonly Point[]} points in order of time
   * @param {{ from: number, to: number }} range in ms since 1970
   * @param {number} tracks how many there are, which decides the height
   */
  draw(points, range, tracks) {
    this.#points = [...points]
    this.#from = range.from / 1000
    this.#to = range.to / 1000
    this.#resize(HEIGHTS[Math.min(tracks, HEIGHTS.length) - 1])
    const last = points.at(-1)
    setText(this.#value, last === undefined ? '' : rounded.format(last.value))
    if (this.#chart === undefined) this.#make()
    this.#chart?.setData(this.#columns())
    this.#describe()
  }

  /** Draws anew with the colours of the present theme. */
  repaint() {
    this.#chart?.destroy()
    this.#chart = undefined
    this.#make()
  }

  /** The chart follows the width of the page. */
  fit() {
    const width = this.#plot.clientWidth
    if (this.#chart === undefined) this.#make()
    else if (width > 0 && this.#chart.width !== width) this.#chart.setSize({ width, height: this.#height })
  }

  remove() {
    this.#chart?.destroy()
    this.element.remove()
  }

  /** @param {number} height */
  #resize(height) {
    if (height === this.#height) return
    this.#height = height
    this.#chart?.setSize({ width: this.#plot.clientWidth, height })
  }

  /** @returns {[number[], number[]]} */
  #columns() {
    return [this.#points.map((point) => point.time / 1000), this.#points.map((point) => point.value)]
  }

  #describe() {
    if ((this.#chart?.cursor.idx ?? null) !== null) return
    let min = Infinity
    let max = -Infinity
    for (const { value } of this.#points) {
      min = Math.min(min, value)
      max = Math.max(max, value)
    }
    const text = this.#points.length > 1 ? `${rounded.format(min)} to ${rounded.format(max)}` : ''
    setText(this.#aside, text)
    this.#plot.setAttribute('aria-label', `Chart of ${this.#name}, ${this.#points.length} points, ${text}`)
  }

  #make() {
    const width = this.#plot.clientWidth
    if (width === 0) return
    this.#chart = new uPlot(this.#options(width), this.#columns(), this.#plot)
  }

  /** @param {number} width */
  #options(width) {
    const style = getComputedStyle(document.documentElement)
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim()
    const axis = { stroke: colour('--soft'), font: `12px ${colour('--sans')}`, ticks: { show: false } }
    const stroke = colour(`--colour-${this.colour}`)
    return {
      width,
      height: this.#height,
      legend: { show: false },
      cursor: { sync: { key: 'sluice' }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: true, range: () => /** @type {[number, number]} */ ([this.#from, this.#to]) },
        y: { range: padded },
      },
      axes: [
        { ...axis, size: 26, gap: 6, space: 64, grid: { show: false }, values: timeLabels },
        { ...axis, size: 58, gap: 8, space: 30, grid: { stroke: colour('--line'), width: 1 }, values: valueLabels },
      ],
      series: [
        {},
        {
          stroke,
          fill: `${stroke}14`,
          width: 1.75,
          points: { show: (/** @type {uPlot} */ plot) => plot.data[0].length <= 60, size: 5, stroke, fill: stroke },
        },
      ],
      hooks: { setCursor: [(/** @type {uPlot} */ plot) => this.#follow(plot.cursor.idx)] },
    }
  }

  /** @param {number | null | undefined} index the point under the pointer */
  #follow(index) {
    const point = index === null || index === undefined ? undefined : this.#points[index]
    if (point === undefined) this.#describe()
    else setText(this.#aside, `${plain.format(point.value)} at ${formatTime(point.time)}`)
  }
}

/**
 * A tenth of room above and below; a flat line stands in the middle.
 * @param {uPlot} _plot
 * @param {number | null} min
 * @param {number | null} max
 * @returns {[number, number]}
 */
function padded(_plot, min, max) {
  if (min === null || max === null) return [0, 1]
  const room = max > min ? (max - min) / 10 : Math.abs(max) / 20 || 1
  return [min - room, max + room]
}

/**
 * @param {uPlot} _plot
 * @param {number[]} splits
 */
function valueLabels(_plot, splits) {
  return splits.map((value) => (Math.abs(value) >= 1e5 ? compact : plain).format(value))
}

/**
 * @param {uPlot} plot
 * @param {number[]} splits seconds since 1970
 */
function timeLabels(plot, splits) {
  const span = (plot.scales.x.max ?? 0) - (plot.scales.x.min ?? 0)
  const format =
    span < 600 ? hourMinuteSecond : span < 86_400 * 2 ? hourMinute : span < 86_400 * 200 ? monthDay : yearMonth
  return splits.map((seconds) => format.format(new Date(seconds * 1000)))
}
