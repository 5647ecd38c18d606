/**
 * The provider of the story, and tokens of it, from the command line.
 */
import { parseArgs } from 'node:util'
import { JWT_RESOURCE, OPAQUE_RESOURCE, startProvider } from './provider.ts'
import { personToken, serviceToken } from './tokens.ts'

const HELP = `Usage: npx tsx examples/oidc/main.ts provider [--port N]
       npx tsx examples/oidc/main.ts token [PERSON] [--opaque] [--issuer URL]

provider   runs an OpenID provider on 127.0.0.1 (port 9100); SIGHUP gives it a new key
token      prints an access token: for the service ci-bot, or for a person: ana, bob
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '9100' },
    issuer: { type: 'string', default: 'http://127.0.0.1:9100' },
    opaque: { type: 'boolean', default: false },
  },
})
const [command, person] = positionals

if (command === 'provider') {
  const provider = await startProvider(Number(values.port))
  process.on('SIGHUP', () => provider.rotate())
  process.once('SIGTERM', provider.close)
  process.once('SIGINT', provider.close)
  process.stdout.write(`${JSON.stringify({ event: 'listening', issuer: provider.issuer })}\n`)
} else if (command === 'token') {
  const resource = values.opaque ? OPAQUE_RESOURCE : JWT_RESOURCE
  const token =
    person === undefined
      ? await serviceToken(values.issuer, resource)
      : await personToken(values.issuer, person, resource)
  process.stdout.write(`${token}\n`)
} else {
  process.stderr.write(HELP)
  process.exitCode = 2
}
