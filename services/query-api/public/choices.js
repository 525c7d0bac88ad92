import { byId, make, visible } from './dom.js'

/** Devices offered; the one that was offered longest ago and is not shown gives way. */
const MAX_DEVICES = 500
const MAX_STREAMS = 100

/** What is shown: the selects of device and stream, and the range of the chart. */
export class Choices {
  #device = byId('device', HTMLSelectElement)
  #stream = byId('stream', HTMLSelectElement)
  /** @type {Map<string, Set<string>>} streams by tenant/device */
  #known = new Map()
  #shown = ''

  /**
   * @param {{ stream: (tenant: string, device: string, stream: string | undefined) => void, range: () => void }} on
   */
  constructor(on) {
    const tell = (/** @type {string | undefined} */ stream) => {
      const { value } = this.#device
      const slash = value.indexOf('/')
      const [tenant, device] = [value.slice(0, slash), value.slice(slash + 1)]
      on.stream(tenant, device, stream)
    }
    this.#device.addEventListener('change', () => tell(undefined))
    this.#stream.addEventListener('change', () => tell(this.#stream.value))
    for (const input of document.querySelectorAll('input[name="range"]')) {
      input.addEventListener('change', () => on.range())
    }
  }

  /** @returns {'live' | 'hour'} */
  get range() {
    return document.querySelector('input[name="range"][value="hour"]:checked') === null ? 'live' : 'hour'
  }

  set range(range) {
    const input = document.querySelector(`input[name="range"][value="${range}"]`)
    if (input instanceof HTMLInputElement) input.checked = true
  }

  /**
   * @param {string} tenant
   * @param {string} device
   * @param {string | undefined} stream
   */
  add(tenant, device, stream) {
    const name = `${tenant}/${device}`
    let streams = this.#known.get(name)
    if (streams === undefined) {
      streams = new Set()
      this.#makeRoom()
      this.#known.set(name, streams)
      this.#device.append(make('option', { value: name }, visible(name, 200)))
    }
    if (stream === undefined || streams.has(stream) || streams.size >= MAX_STREAMS) return
    streams.add(stream)
    if (name === this.#shown) this.#listStreams(streams)
  }

  /**
   * @param {string} tenant
   * @param {string} device
   * @param {string | undefined} stream
   */
  show(tenant, device, stream) {
    this.#shown = `${tenant}/${device}`
    this.#device.value = this.#shown
    this.#listStreams(this.#known.get(this.#shown) ?? new Set())
    if (stream !== undefined) this.#stream.value = stream
  }

  /** @param {ReadonlySet<string>} streams */
  #listStreams(streams) {
    const chosen = this.#stream.value
    this.#stream.replaceChildren(
      ...[...streams].map((stream) => make('option', { value: stream }, visible(stream, 200))),
    )
    if (streams.has(chosen)) this.#stream.value = chosen
    byId('stream-choice', HTMLElement).hidden = streams.size < 2
  }

  #makeRoom() {
    if (this.#known.size < MAX_DEVICES) return
    const oldest = [...this.#known.keys()].find((name) => name !== this.#shown)
    if (oldest === undefined) return
    this.#known.delete(oldest)
    for (const option of this.#device.options) {
      if (option.value === oldest) return option.remove()
    }
  }
}
