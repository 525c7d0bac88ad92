import { isTopicFilter } from './topic-filter.ts'

/**
 * `$share/{name}/{filter}` [MQTT 5.0, 4.8.2], which MQTT 3.1.1 uses as Mosquitto does: of all that subscribe to the same
 * text each message reaches one. Pure.
 */

const PREFIX = '$share/'
const FORM = /^\$share\/[^/+#]+\/./

/** True when it is meant as a shared subscription, valid or not. */
export function isShare(filter: string): boolean {
  return filter.startsWith(PREFIX) || filter === '$share'
}

/** True when there is a name without wildcard, and something behind it. */
export function isShareForm(filter: string): boolean {
  return FORM.test(filter)
}

/** The filter behind a share of valid form; any other text as it is. */
export function filterBehind(filter: string): string {
  // Asked about every filter of a subscriber for each message: most are none.
  if (!filter.startsWith(PREFIX) || !isShareForm(filter)) return filter
  return filter.slice(filter.indexOf('/', PREFIX.length) + 1)
}

/** True for what may be subscribed to as far as the grammar goes: a topic filter, or a share of one. */
export function isSubscription(filter: string): boolean {
  if (!isShare(filter)) return isTopicFilter(filter)
  if (!isShareForm(filter)) return false
  const behind = filterBehind(filter)
  const name = filter.slice(PREFIX.length, filter.length - behind.length - 1)
  return isTopicFilter(behind) && isTopicFilter(name)
}
