/**
 * What one session keeps for its client: far more commands than a device works off, of 4 KiB each. It is full when it
 * has as much, so that the longest message finds room, and none is dropped before one that came later and is kept.
 */
export const MAX_PER_SESSION = { messages: 1_000, bytes: 4 * 1024 * 1024 }

/** Persistent sessions of applications: all of them are asked about each message. */
export const MAX_WIDE_SESSIONS = 1_000

/**
 * Groups of shared subscriptions: all of them are asked about each message. One application may not take all the room, and
 * each message looks at every member of its group.
 */
export const MAX_SHARED = { groups: 1_000, groupsOfLogin: 200, members: 100 }

/** What may be retained, in all and by one device. */
export interface RetainedBounds {
  readonly topics: number
  readonly bytes: number
  readonly deviceTopics: number
  readonly deviceBytes: number
}

/**
 * The status of 100,000 devices, at 2.6 KiB each. A device has a few such topics; with a hundred, or four messages of the
 * longest, it takes a thousandth of the room, and a thousand of them have to be hostile to leave others none.
 */
export const MAX_RETAINED: RetainedBounds = {
  topics: 100_000,
  bytes: 256 * 1024 * 1024,
  deviceTopics: 100,
  deviceBytes: 256 * 1024,
}

/** Where messages are that belong to no device: only applications publish there. */
export const ELSEWHERE = 'elsewhere'

/** Whose message it is: `t/{tenant}/{device}`, or one place for all the rest. */
export function placeOf(topic: string): string {
  const [root, tenant, device] = topic.split('/', 4)
  return root === 't' && tenant !== undefined && device !== undefined ? `t/${tenant}/${device}` : ELSEWHERE
}
