import { printable } from '../../../shared/printable.ts'

/** A login as the API answers it when it makes one. */
export interface NewLogin {
  readonly username: string
  readonly secret: string
  readonly token: string
}

/** The credentials as a person needs them; they are not shown again. */
export function loginText(what: string, { username, secret, token }: NewLogin): string {
  return [
    printable(`Created ${what}.`) + ` The secret and the token are not shown again:`,
    '',
    printable(`  username  ${username}`),
    `  secret    ${secret}`,
    `  token     ${token}   (as the username, with no password)`,
  ].join('\n')
}
