import { eachAtOnce, StormClient } from './storm-client.ts'

/** Wrong passwords for these logins, so many in all. */
export interface Attack {
  readonly host: string
  readonly port: number
  readonly usernames: readonly string[]
  readonly attempts: number
  readonly round: number
}

/** Connections at the same time: below the limit of an address, beyond which they are reset at once. */
const AT_ONCE = 900

/** The attacker has a process of its own: what it does must not delay the clock of those who are measured. */
process.on('message', (attack: Attack) => void play(attack))

async function play({ host, port, usernames, attempts, round }: Attack): Promise<void> {
  const codes: (number | null)[] = []
  await eachAtOnce(Array(attempts).keys(), AT_ONCE, async (number) => {
    const username = usernames[number % usernames.length] ?? ''
    const client = new StormClient({ host, port }, { username, password: `wrong ${round} ${number}` })
    codes.push((await client.tryOnce()) ?? null)
    client.leave()
  })
  process.send?.(codes)
}
