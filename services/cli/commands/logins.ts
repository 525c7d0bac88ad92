import { InvalidArgumentError, type Command } from 'commander'
import { parseDuration } from '../argument-parsers.ts'
import type { Commands, Session } from '../session.ts'
import { loginText, type NewLogin } from './login-text.ts'

/** What devices and applications have in common: how their logins are replaced and ended. */
export interface LoginTarget<T> {
  readonly what: 'device' | 'application'
  readonly argument: string
  readonly parse: (text: string) => T
  readonly nameOf: (target: T) => string
  /** Path of the API for it. */
  readonly pathOf: (target: T) => string
}

interface RotateAnswer extends NewLogin {
  readonly oldEndsAt: string
}

/** 0, or a duration. */
function parseOverlap(text: string): number {
  const ms = text === '0' ? 0 : parseDuration(text)
  if (ms <= 92 * 86_400_000) return ms
  throw new InvalidArgumentError('Write 0, or at most 92d.')
}

/** Adds rotate, revoke, disable and enable to a command. */
export function addLoginCommands<T>(parent: Command, { run }: Pick<Commands, 'run'>, target: LoginTarget<T>): void {
  const { what, argument, parse, nameOf, pathOf } = target
  const add = (name: string, description: string): Command =>
    parent.command(name).description(description).argument(argument, `name of the ${what}`, parse)
  add('rotate', 'create a new credential; the old one ends when the new one is first used, or after the overlap')
    .option(
      '--overlap <duration>',
      'longest time that the old one still works; 0 ends it now',
      parseOverlap,
      7 * 86_400_000,
    )
    .action(
      run(async (session: Session, which: T, { overlap }: { overlap: number }) => {
        const made = await session.api.post<RotateAnswer>(`${pathOf(which)}/rotate`, {
          overlapSeconds: Math.round(overlap / 1000),
        })
        session.result(made, () => {
          const end = `The old one ends when the new one is first used, at ${made.oldEndsAt} at the latest.`
          return `${loginText(`a new credential of ${nameOf(which)}`, made)}\n\n${end} Open connections are kept.`
        })
      }),
    )
  const end = (action: string, description: string, done: string): void => {
    add(action, description).action(
      run(async (session: Session, which: T) => {
        const answer = await session.api.post<{ disabled: boolean }>(`${pathOf(which)}/${action}`, {})
        session.result({ name: nameOf(which), ...answer }, () => `${nameOf(which)}: ${done}`)
      }),
    )
  }
  end(
    'revoke',
    'revoke all its credentials, disable it and close its connections; its session and retained messages are removed',
    'all credentials revoked, login disabled. `rotate` and `enable` let it in again.',
  )
  end('disable', 'refuse its logins and close its connections until it is enabled', 'disabled.')
  end('enable', 'accept its logins again', 'enabled.')
}
