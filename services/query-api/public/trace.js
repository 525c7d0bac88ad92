import { explain } from './connect.js'
import { byId, formatTime, make, setText, visible } from './dom.js'
import { faultText } from './letter-view.js'

/** @typedef {import('./session.js').Session} Session */

const PAGE = '50'
/** Points of a message that are shown. */
const SHOWN_POINTS = 30

/** What became of each message of a device. */
export class Trace {
  #list = byId('trace-list', HTMLElement)
  #more = byId('trace-more', HTMLButtonElement)
  #problem = byId('trace-problem', HTMLElement)
  /** @type {Session} */
  #session
  #path = ''
  /** @type {Record<string, string>} */
  #query = {}
  #turn = 0

  /** @param {Session} session */
  constructor(session) {
    this.#session = session
    byId('trace-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      this.#begin()
    })
    this.#more.addEventListener('click', () => void this.#page(this.#turn))
  }

  #begin() {
    const [, tenant = '', device = ''] = /^([^/]+)\/(.+)$/.exec(byId('trace-who', HTMLInputElement).value.trim()) ?? []
    this.#turn += 1
    this.#list.replaceChildren()
    this.#more.hidden = true
    setText(byId('trace-sum', HTMLElement), '')
    setText(this.#problem, device === '' ? 'Say which device, as tenant/device.' : '')
    if (device === '') return
    const sinceMs = Number(byId('trace-since', HTMLSelectElement).value) * 60_000
    this.#path = `/v1/devices/${encodeURIComponent(tenant)}/${encodeURIComponent(device)}/trace`
    this.#query = { from: String(Date.now() - sinceMs), limit: PAGE }
    void this.#page(this.#turn)
  }

  /** @param {number} turn */
  async #page(turn) {
    this.#more.disabled = true
    try {
      const answer = await this.#session.get(this.#path, this.#query)
      if (turn !== this.#turn) return
      const isFirst = this.#query['after'] === undefined
      const refusals = isFirst ? answer.refusals.toReversed() : []
      const items = [
        ...answer.messages.map((/** @type {any} */ one) => ({
          at: Date.parse(one.receivedAt),
          item: messageItem(one),
        })),
        ...refusals.map((/** @type {any} */ one) => ({ at: Date.parse(one.receivedAt), item: refusalItem(one) })),
      ].sort((a, b) => a.at - b.at)
      this.#list.append(...items.map(({ item }) => item))
      this.#query = { ...this.#query, after: String(answer.position), partition: String(answer.partition) }
      this.#more.hidden = answer.isEnd
      const shown = this.#list.childElementCount
      const more = answer.isEnd ? '' : ' There is more.'
      setText(
        byId('trace-sum', HTMLElement),
        shown === 0 && answer.isEnd
          ? 'Nothing was received in this time.'
          : `${shown} messages and refusals, oldest first.${more}`,
      )
    } catch (error) {
      if (turn === this.#turn) setText(this.#problem, explain(error))
    } finally {
      this.#more.disabled = false
    }
  }
}

/** @param {any} message as the API answers */
function messageItem({
  receivedAt,
  partition,
  offset,
  topic,
  headers,
  decoder,
  watch,
  payloadBytes,
  ends,
  points,
  faults,
  warnings,
}) {
  const counts = Object.entries(ends).map(([end, count]) => `${Number(count)} ${visible(end, 40)}`)
  const isWell = Object.keys(ends).every((end) => end === 'stored' || end === 'merged')
  const way = Object.entries(headers ?? {}).map(([name, value]) => `${name}=${value}`)
  const lines = [
    ...watchLines(watch, receivedAt),
    ...points.slice(0, SHOWN_POINTS).map(pointText),
    ...(points.length > SHOWN_POINTS ? [`and ${points.length - SHOWN_POINTS} more points`] : []),
    ...[...faults, ...warnings].map(faultText),
  ]
  const what = [
    topic ?? 'telemetry',
    decoder ?? [],
    ...way,
    `${payloadBytes} bytes, partition ${partition}, offset ${offset}`,
  ]
    .flat()
    .join(', ')
  return item(receivedAt, counts.length === 0 ? 'nothing in it' : counts.join(', '), isWell, [what, ...lines])
}

/**
 * @param {any} watch as the API answers, of a message that came while its device was under watch
 * @param {string} receivedAt
 */
function watchLines(watch, receivedAt) {
  if (watch === undefined) return []
  const { node, qos, dup, ...times } = watch
  const received = Date.parse(receivedAt)
  const stages = Object.entries(times).map(([name, at]) => `${name} +${Date.parse(at) - received} ms`)
  return [[`taken by ${node} with QoS ${qos}${dup ? ', DUP' : ''}`, ...stages].join(', ')]
}

/** @param {any} refusal as the API answers */
function refusalItem({ receivedAt, stage, topic, code, detail, fix }) {
  const what = stage === 'connect' ? 'Login refused' : 'Message refused'
  return item(receivedAt, what, false, [...(topic === null ? [] : [topic]), `${code}: ${detail}`, fix])
}

/** @param {any} point as the API answers */
function pointText({ element, device, stream, field, time, value, end, inPlace, storedAt }) {
  const where = [device ?? [], stream, element === 0 ? [] : `[${element}]`].flat().join(' ')
  const now = inPlace === undefined ? '' : `, which has ${JSON.stringify(inPlace)} now`
  const moved = storedAt === undefined ? '' : ` as ${storedAt}`
  return `${where} ${field}=${JSON.stringify(value)} at ${time}: ${end}${moved}${now}`
}

/**
 * @param {string} at
 * @param {string} summary
 * @param {boolean} isWell
 * @param {string[]} lines
 */
function item(at, summary, isWell, lines) {
  return make(
    'li',
    { class: isWell ? 'traced' : 'traced bad' },
    make('p', { class: 'traced-head' }, make('strong', {}, summary), make('time', {}, formatTime(Date.parse(at)))),
    ...lines.map((line) => make('p', {}, visible(line, 400).replaceAll('\n', ' '))),
  )
}
