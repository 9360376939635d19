// What a peer says of its doorbell, checked and made into a target. Not responsible for ringing it (doorbell).
#pragma once

#include "../bootstrap/client.h"
#include "../doorbell/doorbell.h"

namespace carillon {

// What a peer's segment and descriptors say. False: it is no doorbell that this version can ring. Owns what it maps until `forget`.
bool target_of(const bootstrap::PeerDescriptors&, uint32_t kind, int32_t signal, BellTarget*);
void forget_target(BellTarget*);

}  // namespace carillon
