import { byId, copyOnClick, make, setText, visible, withCode } from './dom.js'
import { Refused } from './refused.js'
import { isLoopback, NO_SECRET, NO_TOKEN, SNIPPETS } from './snippets.js'

/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./session.js').Credentials} Credentials */
/** @typedef {import('./session.js').Status} Status */

/** What the API takes of a device it says itself. */
const NAME = /^([A-Za-z0-9_.-]{1,64})\/(.+)$/
const FIRST_NAME = 'demo/my-device'

/** The part of the page that makes a device and fills the snippets with it. */
export class Connect {
  /** @type {Session} */
  #session
  /** @type {(created: Credentials) => void} */
  #created
  #name = byId('name', HTMLInputElement)
  #problem = byId('create-problem', HTMLElement)
  #snippet = byId('snippet', HTMLElement)
  #selected = SNIPPETS[0]
  #mqttPort = 1883
  /** @type {Credentials | undefined} */
  #credentials

  /**
   * @param {Session} session
   * @param {(created: Credentials) => void} created called with each new device
   */
  constructor(session, created) {
    this.#session = session
    this.#created = created
    this.#name.value = FIRST_NAME
    this.#name.addEventListener('input', () => this.#render())
    byId('create', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#create()
    })
    copyOnClick(byId('copy-snippet', HTMLButtonElement), () => this.#snippet.textContent ?? '')
    this.#makeTabs()
    this.#render()
  }

  /**
   * Fills in where the broker listens, and proposes a name that is still free.
   * @param {Status} status
   * @param {readonly { tenant: string, device: string }[]} devices
   */
  prepare(status, devices) {
    this.#mqttPort = status.mqtt?.port ?? this.#mqttPort
    if (this.#credentials === undefined && this.#name.value === FIRST_NAME) {
      const taken = new Set(devices.map(({ tenant, device }) => `${tenant}/${device}`))
      let name = FIRST_NAME
      for (let i = 2; taken.has(name); i += 1) name = `${FIRST_NAME}-${i}`
      this.#name.value = name
    }
    this.#render()
  }

  async #create() {
    const name = NAME.exec(this.#name.value.trim())
    if (name === null) {
      this.#say(
        'A name is tenant/device: a tenant of 1 to 64 characters of A-Z a-z 0-9 _ . -, a device of 1 to 128 bytes',
      )
      return
    }
    this.#say('')
    try {
      const created = await this.#session.post('/v1/devices', { tenant: name[1], device: name[2] })
      this.#credentials = created
      this.#showCredentials(created)
      this.#render()
      this.#created(created)
    } catch (error) {
      this.#say(explain(error))
    }
  }

  /** @param {string} text */
  #say(text) {
    setText(this.#problem, text)
    this.#name.setAttribute('aria-invalid', String(text !== ''))
  }

  /** @param {Credentials} credentials */
  #showCredentials({ username, secret, token }) {
    const rows = Object.entries({ Username: username, Secret: secret, Token: token }).map(([label, value]) => {
      const button = make(
        'button',
        { type: 'button', class: 'copy', 'aria-label': `Copy ${label.toLowerCase()}` },
        'Copy',
      )
      copyOnClick(button, () => value)
      return make('div', {}, make('dt', {}, label), make('dd', {}, make('code', {}, value), button))
    })
    const list = byId('credentials', HTMLElement)
    list.replaceChildren(...rows)
    list.hidden = false
    byId('credentials-note', HTMLElement).hidden = false
  }

  #makeTabs() {
    const list = byId('tabs', HTMLElement)
    const tabs = SNIPPETS.map((snippet) =>
      make('button', { type: 'button', role: 'tab', id: `tab-${snippet.id}`, 'aria-controls': 'panel' }, snippet.label),
    )
    const select = (/** @type {number} */ index) => {
      tabs.forEach((tab, i) => {
        tab.setAttribute('aria-selected', String(i === index))
        tab.tabIndex = i === index ? 0 : -1
      })
      byId('panel', HTMLElement).setAttribute('aria-labelledby', tabs[index].id)
      this.#selected = SNIPPETS[index]
      this.#render()
    }
    tabs.forEach((tab, i) => tab.addEventListener('click', () => select(i)))
    list.addEventListener('keydown', (event) => {
      const index = nextTab(event.key, tabs.indexOf(/** @type {any} */ (document.activeElement)), tabs.length)
      if (index === undefined) return
      event.preventDefault()
      select(index)
      tabs[index].focus()
    })
    list.append(...tabs)
    select(0)
  }

  #render() {
    const host = location.hostname.replace(/^\[|\]$/g, '')
    const [, tenant, device] = NAME.exec(this.#name.value.trim()) ?? ['', 'tenant', 'device']
    const made = this.#credentials
    const target = {
      host,
      mqttPort: this.#mqttPort,
      origin: location.origin,
      tenant,
      device,
      // A name edited afterwards is another device: its secret is not known.
      ...(made?.tenant === tenant && made.device === device ? made : { secret: NO_SECRET, token: NO_TOKEN }),
    }
    setText(this.#snippet, this.#selected.render(target))
    setText(byId('panel-note', HTMLElement), this.#selected.note)
    this.#snippet.classList.toggle('wrap', this.#selected.id === 'tasmota')
    const reach = byId('reach', HTMLElement)
    reach.hidden = !(this.#selected.reachesOut && isLoopback(host))
    reach.replaceChildren(
      ...withCode(
        `${host} is this computer only: a device cannot reach it. Start Sluice with \`npm start -- --lan\` and open the ` +
          'page at the address it prints; the snippet then holds that address.',
      ),
    )
  }
}

/**
 * @param {string} key
 * @param {number} current
 * @param {number} count
 * @returns {number | undefined}
 */
function nextTab(key, current, count) {
  if (key === 'ArrowRight') return (current + 1) % count
  if (key === 'ArrowLeft') return (current + count - 1) % count
  if (key === 'Home') return 0
  if (key === 'End') return count - 1
  return undefined
}

/**
 * What went wrong with a request, and what to do, in one line.
 * @param {unknown} error
 */
export function explain(error) {
  if (error instanceof Refused) return visible([error.message, error.fix].filter(Boolean).join(' '), 400)
  return 'Sluice is not responding. Is it still running?'
}
