import { byId, formatTime, make, setText, visible, withCode } from './dom.js'
import { MAX_GROUPS, RefusalBook } from './refusal-book.js'

/** @typedef {import('./stream.js').Fault} Fault */
/** @typedef {import('./stream.js').Letter} Letter */
/** @typedef {import('./refusal-book.js').Group} Group */
/** @typedef {{ item: HTMLLIElement, parts: Record<'count' | 'time' | 'detail' | 'payload', HTMLElement> }} Row */

/** A refusal repeated many times a second is drawn twice a second. */
const DRAW_MS = 500
const SHOWN_PAYLOAD = 240
/** Faults of one letter that are shown; a letter may have a hundred. */
const SHOWN_FAULTS = 10

/** @type {Readonly<Record<string, string>>} */
const STAGES = {
  connect: 'Login refused',
  publish: 'Message refused',
  decode: 'Not stored',
  store: 'Not stored',
  clock: 'Clock was wrong',
}

/** The list of what was refused or rejected: who, what, the code, and how to fix it. */
export class Refusals {
  #book = new RefusalBook()
  #list = byId('refusals-list', HTMLElement)
  /** @type {Map<string, Row>} */
  #rows = new Map()
  #total = 0
  #warnings = 0
  #drawing = 0
  /** @type {Group | undefined} the newest that has not been spoken yet */
  #unspoken

  /**
   * @param {Letter} letter
   * @param {boolean} warning it was stored, but something about it is suspect
   * @returns {boolean} false for a letter that was shown before
   */
  add(letter, warning) {
    const added = this.#book.add(letter, warning)
    if (added === undefined) return false
    this.#total += 1
    if (warning) this.#warnings += 1
    if (added.isNew) this.#unspoken = added.group
    if (this.#drawing === 0) {
      this.#drawing = setTimeout(() => {
        this.#drawing = 0
        this.#draw()
      }, DRAW_MS)
    }
    return true
  }

  #draw() {
    const groups = this.#book.newestFirst()
    const keys = new Set(groups.map((group) => group.key))
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue
      row.item.remove()
      this.#rows.delete(key)
    }
    groups.forEach((group, index) => {
      const { item } = this.#show(group)
      if (this.#list.children[index] !== item) this.#list.insertBefore(item, this.#list.children[index] ?? null)
    })
    byId('refusals-none', HTMLElement).hidden = groups.length > 0
    const more = groups.length === MAX_GROUPS ? `, the newest ${MAX_GROUPS} kinds` : ''
    const refused = this.#total - this.#warnings
    setText(byId('refused', HTMLElement), refused === 0 ? '' : `${refused} refused`)
    setText(byId('refusals-count', HTMLElement), groups.length === 0 ? '' : `${this.#total} in total${more}`)
    this.#speak()
  }

  // The list itself is not a live region: a device that fails ten times a second would never let a reader finish.
  #speak() {
    if (this.#unspoken === undefined) return
    const { letter, warning } = this.#unspoken
    this.#unspoken = undefined
    const line = make(
      'span',
      {},
      `${headline(letter, warning)}: ${letter.code}, ${visible(letter.who, 80)}. ${letter.fix}`,
    )
    byId('announce', HTMLElement).replaceChildren(line)
  }

  /**
   * @param {Group} group
   * @returns {Row}
   */
  #show(group) {
    let row = this.#rows.get(group.key)
    if (row === undefined) {
      row = makeRow(group)
      this.#rows.set(group.key, row)
    }
    const { letter, count, lastMs } = group
    setText(row.parts.count, count > 1 ? `${count} times` : '')
    setText(row.parts.time, formatTime(lastMs))
    if (Number.isFinite(lastMs)) row.parts.time.setAttribute('datetime', new Date(lastMs).toISOString())
    setText(row.parts.detail, faultsText(letter))
    const payload = payloadText(letter)
    setText(row.parts.payload, payload)
    row.parts.payload.hidden = payload === ''
    return row
  }
}

/**
 * @param {Group} group
 * @returns {Row}
 */
function makeRow({ letter, warning }) {
  const parts = {
    count: make('span', { class: 'times' }),
    time: make('time'),
    detail: make('p', { class: 'detail' }),
    payload: make('pre', { class: 'payload' }),
  }
  const who = make(
    'p',
    { class: 'who' },
    make('span', { class: 'login' }, visible(letter.who || 'unknown client', 160)),
  )
  if (letter.topic) who.append(make('span', { class: 'topic' }, visible(letter.topic, 300)))
  const item = make(
    'li',
    { class: warning ? 'refusal warning' : 'refusal' },
    make('p', { class: 'refusal-head' }, make('strong', {}, headline(letter, warning)), parts.count, parts.time),
    make('p', { class: 'code-name' }, make('code', {}, visible(letter.code, 80))),
    who,
    parts.detail,
    make('p', { class: 'fix' }, make('b', {}, 'Fix '), ...withCode(visible(letter.fix ?? '', 400))),
    parts.payload,
  )
  return { item, parts }
}

/**
 * @param {Letter} letter
 * @param {boolean} warning
 */
function headline(letter, warning) {
  if (warning && letter.stage === 'decode') return 'Stored, with a warning'
  return STAGES[letter.stage] ?? (warning ? 'Warning' : 'Refused')
}

/**
 * One line for each fault, with its place; a refusal, which has none, is its detail alone.
 * @param {Letter} letter
 */
function faultsText({ faults, faultCount }) {
  const shown = faults.slice(0, SHOWN_FAULTS).map((fault) => placeOf(fault) + visible(fault.detail, 500))
  const more = faultCount - shown.length
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
}

/**
 * @param {Fault} fault
 */
function placeOf({ element, path }) {
  const place = [
    ...(element === null ? [] : [`[${element}]`]),
    ...(path === null ? [] : [visible(path, 120).replaceAll('\n', ' ')]),
  ]
  return place.length === 0 ? '' : `${place.join(' ')}: `
}

/**
 * The beginning of the payload; bytes that are no text in hexadecimal.
 * @param {Letter} letter
 */
function payloadText(letter) {
  if (letter.payloadBase64) {
    const bytes = Uint8Array.from(atob(letter.payloadBase64), (character) => character.charCodeAt(0))
    const shown = [...bytes.subarray(0, 32)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    return `${bytes.length} bytes: ${shown}${bytes.length > 32 ? ' …' : ''}`
  }
  return visible(letter.payload ?? '', SHOWN_PAYLOAD)
}
