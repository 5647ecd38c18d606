import { createPublicKey } from 'node:crypto'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { signingKey, verificationKeys } from '../../../src/policy/bundles/signature-keys.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { ecPair, rsaPair } from '../../support/signing-keys.ts'
import { thrownBy } from '../../support/thrown.ts'

const rsa = rsaPair()
const p256 = ecPair()
const fileOf = (content: string | Buffer): string => path.join(temporaryFolder({ key: content }), 'key')
const der = createPublicKey(rsa.publicKey).export({ type: 'spki', format: 'der' })
const jwk = JSON.stringify(createPublicKey(rsa.publicKey).export({ format: 'jwk' }))

describe('keys that verify', () => {
  it('are read from PEM, several in one file', () => {
    const keys = verificationKeys(fileOf(`old:\n${rsa.publicKey}\nnew:\n${p256.publicKey}`))
    expect(keys.map(key => [key.type, key.asymmetricKeyType])).toEqual([
      ['public', 'rsa'],
      ['public', 'ec'],
    ])
  })

  it('are a secret when the file is not PEM, to the last byte, as opa reads it', () => {
    const [key] = verificationKeys(fileOf('s3cret\n'))
    expect(key?.export().toString()).toBe('s3cret\n')
  })

  // Taken for secrets, these would let everybody sign who knows the public key.
  it.each([
    ['in DER', der],
    ['as a JSON Web Key', jwk],
    ['as OpenSSH writes it', 'ssh-rsa AAAAB3NzaC1yc2E= somebody'],
    ['in PEM that is cut off', rsa.publicKey.slice(0, 100)],
    ['as a page that says that it was not found', '<html>404</html>'],
  ])('are never a secret when they are a key %s', (_what, content) => {
    expect(thrownBy(() => verificationKeys(fileOf(content))).code).toBe('bad_key')
  })

  it.each([
    ['empty', '\n'],
    ['a private key', rsa.privateKey],
    ['PEM that is no key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
  ])('are not read from a file that is %s', (_what, content) => {
    expect(thrownBy(() => verificationKeys(fileOf(content))).code).toBe('bad_key')
  })

  it('are not read from a file that is not there', () => {
    expect(thrownBy(() => verificationKeys('gone.pem')).code).toBe('bad_key')
  })
})

describe('a key that signs', () => {
  it.each([
    ['RS256', rsa.privateKey],
    ['PS512', rsa.privateKey],
    ['ES256', p256.privateKey],
    ['ES384', ecPair('secp384r1').privateKey],
    ['HS256', 'a secret'],
  ])('suits %s', (algorithm, content) => {
    expect(signingKey(fileOf(content), algorithm).type).toBe(algorithm === 'HS256' ? 'secret' : 'private')
  })

  it.each([
    ['RS256', p256.privateKey],
    ['ES256', rsa.privateKey],
    ['ES384', p256.privateKey],
    ['RS256', rsa.publicKey],
    ['RS256', 'a secret'],
    ['HS256', rsa.privateKey],
  ])('is refused for %s when it is another kind', (algorithm, content) => {
    expect(thrownBy(() => signingKey(fileOf(content), algorithm)).code).toBe('bad_key')
  })
})
