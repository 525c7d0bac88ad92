/**
 * Building and finding elements. Everything that comes from a device or a client enters the page as a text node;
 * nothing here (and nothing in the page's policy) can turn it into markup.
 */

/**
 * The element with this id, of the class expected there.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id)
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} #${id}`)
  return found
}

/**
 * A new element with text or children; `attributes` are set as they are.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(string | Node)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/**
 * Sets the text only when it differs, so that a selection and a screen reader are left alone.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

// As in shared/printable.ts, but for line feeds: each can make text look like other text.
const DECEIVING =
  /(?!\n)\p{Cc}|[\u2028\u2029]|\p{Bidi_Control}|(?![\ufe00-\ufe0f])\p{Default_Ignorable_Code_Point}|\p{Noncharacter_Code_Point}/gu

/**
 * Foreign text as it may be shown: at most `limit` characters, invisible and direction-changing characters spelled out.
 * @param {string} text
 * @param {number} limit
 */
export function visible(text, limit) {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text
  return cut.toWellFormed().replace(DECEIVING, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16)
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
  })
}

/**
 * A sentence in which `code` stands between backticks.
 * @param {string} text
 * @returns {(string | Node)[]}
 */
export function withCode(text) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? make('code', {}, part) : part))
}

/**
 * A button that copies what `text` returns when pressed, and says so.
 * @param {HTMLButtonElement} button
 * @param {() => string} text
 */
export function copyOnClick(button, text) {
  const label = button.textContent ?? ''
  button.addEventListener('click', () => {
    void copy(text()).then((done) => {
      button.textContent = done ? 'Copied' : 'Press Ctrl+C'
      setTimeout(() => (button.textContent = label), 1_500)
    })
  })
}

/**
 * @param {string} text
 * @returns {Promise<boolean>}
 */
async function copy(text) {
  // The clipboard interface exists only on https and localhost; on a LAN address the old command has to do.
  if (navigator.clipboard !== undefined) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      return copyBySelection(text)
    }
  }
  return copyBySelection(text)
}

/** @param {string} text */
function copyBySelection(text) {
  const area = make('textarea', { class: 'quiet', 'aria-hidden': 'true' })
  area.value = text
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
})
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })

/**
 * A moment in local time; the date only when it is not today.
 * @param {number} ms since 1970
 */
export function formatTime(ms) {
  if (!Number.isFinite(ms)) return 'unknown'
  const date = new Date(ms)
  const time = clock.format(date)
  return date.toDateString() === new Date().toDateString() ? time : `${day.format(date)}, ${time}`
}

/**
 * How long ago, for people.
 * @param {number} ms
 */
export function ago(ms) {
  if (!Number.isFinite(ms)) return 'none yet'
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 2) return 'now'
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h ago` : `${Math.round(seconds / 86_400)} days ago`
}
