import { explain } from './connect.js'
import { formatTime, make, visible, withCode } from './dom.js'
import { LetterActs } from './letter-acts.js'

/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./stream.js').Fault} Fault */
/** @typedef {import('./stream.js').Letter & { time: string, done: Done | null }} Listed */
/** @typedef {{ state: string, tries: number, who: string }} Done */

/** Characters of a payload, and bytes of one that is no text, that are shown. */
const SHOWN_TEXT = 20_000
const SHOWN_BYTES = 4_096
const DUMP_WIDTH = 16

/**
 * One letter of the list: its line, and all of it when it is opened.
 * @param {Session} session
 * @param {Listed} letter
 * @param {() => void} done something was done about it
 */
export function letterItem(session, letter, done) {
  const head = make(
    'summary',
    {},
    make('code', {}, visible(letter.code, 80)),
    make('span', { class: 'login' }, visible(letter.who || 'unknown client', 160)),
    make('span', { class: 'state' }, doneText(letter.done)),
    make('time', {}, formatTime(Date.parse(letter.time))),
  )
  const body = make('div', { class: 'whole' })
  const details = make('details', {}, head, body)
  details.addEventListener('toggle', () => {
    if (details.open && body.childElementCount === 0) void open(session, String(letter.id), body, done)
  })
  return make('li', { class: 'letter' }, details)
}

/**
 * @param {Session} session
 * @param {string} id
 * @param {HTMLElement} body
 * @param {() => void} done
 */
async function open(session, id, body, done) {
  body.replaceChildren(make('p', { class: 'footnote' }, 'Loading …'))
  try {
    const letter = await session.get(`/v1/dead-letters/${encodeURIComponent(id)}`)
    body.replaceChildren(...whole(letter))
    if (letter.replayable === true) body.append(new LetterActs(session, () => ({ id }), done).element)
  } catch (error) {
    body.replaceChildren(make('p', { class: 'problem' }, explain(error)))
  }
}

/** @param {any} letter as the API answers */
function whole(letter) {
  /** @type {[string, string][]} */
  const rows = [
    ['Id', letter.id],
    ['What', `${letter.kind}, found at ${letter.stage}`],
    ['Topic', letter.topic ?? ''],
    [
      'Headers',
      Object.entries(letter.headers ?? {})
        .map(([name, value]) => `${name}=${value}`)
        .join(', '),
    ],
    ['Received', letter.receivedAt],
    ['Failed', letter.time],
    ['Done', letter.done === null ? 'nothing' : `${doneText(letter.done)}, by ${letter.done.who}`],
  ]
  const shown = rows.filter(([, text]) => text !== '')
  const faults = /** @type {Fault[]} */ (letter.faults)
  const more = letter.faultCount - faults.length
  const cut = letter.payloadIsWhole ? '' : ', the beginning: no more was kept'
  return [
    make(
      'dl',
      { class: 'facts' },
      ...shown.map(([name, text]) => make('div', {}, make('dt', {}, name), make('dd', {}, visible(String(text), 600)))),
    ),
    make('ul', { class: 'faults' }, ...faults.map((fault) => make('li', {}, faultText(fault)))),
    ...(more > 0 ? [make('p', { class: 'footnote' }, `and ${more} more`)] : []),
    make('p', { class: 'fix' }, make('b', {}, 'Fix '), ...withCode(visible(letter.fix ?? '', 400))),
    make('p', { class: 'footnote' }, `Payload, ${letter.payloadBytes} bytes${cut}`),
    make('pre', { class: 'payload', tabindex: '0', role: 'region', 'aria-label': 'Payload' }, payloadText(letter)),
  ]
}

/** @param {Fault} fault */
export function faultText({ element, path, code, detail }) {
  const place = [element === null ? [] : `[${element}]`, path ?? []].flat().join(' ')
  return visible(`${place === '' ? '' : `${place}: `}${code}: ${detail}`, 700).replaceAll('\n', ' ')
}

/** @param {Done | null} done */
function doneText(done) {
  if (done === null || done === undefined) return ''
  return visible(done.tries > 0 ? `${done.state} (${done.tries})` : done.state, 60)
}

/** @param {{ payload?: string, payloadBase64?: string }} letter */
function payloadText({ payload, payloadBase64 }) {
  if (payloadBase64 === undefined) return visible(payload ?? '', SHOWN_TEXT)
  const bytes = Uint8Array.from(atob(payloadBase64), (character) => character.charCodeAt(0))
  const lines = []
  for (let at = 0; at < Math.min(bytes.length, SHOWN_BYTES); at += DUMP_WIDTH) {
    const part = [...bytes.subarray(at, at + DUMP_WIDTH)]
    const hex = part.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex.padEnd(3 * DUMP_WIDTH - 1)}  ${text}`)
  }
  if (bytes.length > SHOWN_BYTES) lines.push('…')
  return lines.join('\n')
}
