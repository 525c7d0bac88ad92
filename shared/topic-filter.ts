/** MQTT 3.1.1 topic names and filters: which are valid, what a filter matches, and how filters relate. Pure. */

/** Longest topic name or filter, in bytes of UTF-8. MQTT allows 65,535; the topic of a stream with the longest names has 846. */
export const MAX_TOPIC_BYTES = 1024

/** Most levels of a topic name or filter; a filter's `#` counts as one. Bounds the work of every match. */
export const MAX_TOPIC_LEVELS = 16

const SLASH = 0x2f
const PLUS = 0x2b
const HASH = 0x23

/** Control characters, and the wildcards. */
const NO_NAME = /[\u0000-\u001f\u007f-\u009f+#]/

/** Control characters; wildcards that share their level; `#` before the last level. */
const NO_FILTER = /[\u0000-\u001f\u007f-\u009f]|[^/][+#]|\+[^/]|#[^]/

/**
 * True for a topic that may be published to as far as the grammar goes: 1 to 1,024 bytes, at most 16 levels, no wildcard
 * [MQTT-3.3.2-2], no control character or lone surrogate [MQTT-1.5.3-1, 1.5.3-2]. See {@link isReserved} for `$`.
 */
export function isTopicName(topic: string): boolean {
  return isBounded(topic) && !NO_NAME.test(topic)
}

/**
 * True for a filter that may be subscribed to as far as the grammar goes: the limits of {@link isTopicName}, `+` alone
 * in its level, `#` alone in the last one [MQTT-4.7.1-2, 4.7.1-3]. See {@link isReserved}.
 */
export function isTopicFilter(filter: string): boolean {
  return isBounded(filter) && !NO_FILTER.test(filter)
}

/** Topics and filters that begin with `$` (`$SYS`, `$share`) belong to the broker: nobody publishes or subscribes. */
export function isReserved(topicOrFilter: string): boolean {
  return topicOrFilter.startsWith('$')
}

function isBounded(text: string): boolean {
  if (text.length === 0 || text.length > MAX_TOPIC_BYTES || !text.isWellFormed()) return false
  // A UTF-16 unit is 1 to 3 bytes of UTF-8: most topics need no counting.
  if (text.length * 3 > MAX_TOPIC_BYTES && Buffer.byteLength(text) > MAX_TOPIC_BYTES) return false
  let levels = 1
  for (let slash = text.indexOf('/'); slash >= 0; slash = text.indexOf('/', slash + 1)) levels += 1
  return levels <= MAX_TOPIC_LEVELS
}

/** Which bound a topic name or filter breaks; undefined when none. Not for hot paths. */
export function faultOfBounds(text: string): string | undefined {
  const bytes = Buffer.byteLength(text)
  if (text === '') return 'it is empty'
  if (bytes > MAX_TOPIC_BYTES) return `it has ${bytes} bytes: at most ${MAX_TOPIC_BYTES} are possible`
  const levels = text.split('/').length
  return levels > MAX_TOPIC_LEVELS ? `it has ${levels} levels: at most ${MAX_TOPIC_LEVELS} are possible` : undefined
}

/**
 * Whether a valid filter matches a valid topic name. A wildcard in the first level does not match topics that begin
 * with `$` [MQTT-4.7.2-1]; `a/#` matches `a` too (MQTT 3.1.1, 4.7.1.2). Allocates nothing.
 */
export function matches(filter: string, topic: string): boolean {
  if (topic.length === 0) return false
  if (topic.startsWith('$') && !filter.startsWith('$')) return false
  let f = 0
  let t = 0
  for (;;) {
    const first = filter.charCodeAt(f)
    if (first === HASH) return true
    if (first === PLUS) {
      f += 1
      const slash = topic.indexOf('/', t)
      t = slash < 0 ? topic.length : slash
    } else {
      for (; f < filter.length && filter.charCodeAt(f) !== SLASH; f += 1, t += 1) {
        if (topic.charCodeAt(t) !== filter.charCodeAt(f)) return false
      }
      if (t < topic.length && topic.charCodeAt(t) !== SLASH) return false
    }
    if (f === filter.length) return t === topic.length
    if (t === topic.length) return filter.length === f + 2 && filter.charCodeAt(f + 1) === HASH
    f += 1
    t += 1
  }
}

/**
 * Whether every topic that `narrow` matches is matched by `wide` too. Exact for topics of any length (the limits of
 * {@link isTopicName} are not used to call more filters contained). Both must be valid filters.
 */
export function contains(wide: string, narrow: string): boolean {
  return levelsContain(levelsOf(wide), levelsOf(narrow))
}

/** Whether some topic is matched by both valid filters. Exact for topics of any length. */
export function overlaps(a: string, b: string): boolean {
  const left = levelsOf(a)
  const right = levelsOf(b)
  if (crossesReserved(left[0], right[0]) || crossesReserved(right[0], left[0])) return false
  for (let index = 0; ; index += 1) {
    const x = left[index]
    const y = right[index]
    if (x === '#' || y === '#') return true
    if (x === undefined || y === undefined) return x === y
    if (x !== y && x !== '+' && y !== '+') return false
  }
}

/**
 * Whether every topic that `narrow` matches is matched by at least one of `wides`. Exact, although it only ever asks
 * one of them at a time: a topic of `narrow` whose `+` levels hold words that no filter spells out is matched only by a
 * filter with wildcards there, which then contains all topics of `narrow` with that number of levels. So the union
 * contains `narrow` if and only if for each number of levels a single one does: `a`, `a/+` and `a/+/+/#` together
 * contain `a/#`. Beyond the longest of `wides` the answer stays the same, because only a `#` can reach there.
 */
export function unionContains(wides: readonly string[], narrow: string): boolean {
  const target = levelsOf(narrow)
  const candidates = wides.map(levelsOf)
  const containedInOne = (levels: readonly string[]): boolean => candidates.some((wide) => levelsContain(wide, levels))
  if (target.at(-1) !== '#' || containedInOne(target)) return containedInOne(target)
  const longest = candidates.reduce((most, { length }) => Math.max(most, length), 0)
  const levels = target.slice(0, -1)
  for (; levels.length <= longest; levels.push('+')) if (!containedInOne(levels)) return false
  return containedInOne(levels)
}

function levelsContain(wide: readonly string[], narrow: readonly string[]): boolean {
  if (crossesReserved(wide[0], narrow[0])) return false
  for (let index = 0; ; index += 1) {
    const outer = wide[index]
    const inner = narrow[index]
    if (outer === '#') return true
    if (outer === undefined || inner === undefined) return outer === inner
    // `#` also matches without any further level, which `+` and words do not.
    if (inner === '#') return false
    if (outer !== '+' && outer !== inner) return false
  }
}

/** A wildcard in the first level against a level that begins with `$`. */
function crossesReserved(wildcard: string | undefined, level: string | undefined): boolean {
  return (wildcard === '+' || wildcard === '#') && level !== undefined && level.startsWith('$')
}

/**
 * The levels of a filter, `#` and `/#` in their long forms `+/#` and `/+/#`: they match the same, because what they
 * would match besides is the empty topic, which does not exist [MQTT-4.7.3-1].
 */
function levelsOf(filter: string): string[] {
  if (filter === '#') return ['+', '#']
  if (filter === '/#') return ['', '+', '#']
  return filter.split('/')
}
